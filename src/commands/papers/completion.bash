# bash completes the words of nk-runtime. The program itself says what can stand at the cursor.
_nk_runtime() {
    local program=${1/#\~/$HOME} current=${COMP_WORDS[COMP_CWORD]} whole= word line i words=()
    # bash takes = and : for words of their own, the program does not.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -gt 0 && ($word == [=:]* || $whole == *[=:]) ]]; then
            words[-1]=$whole$word
        else
            words+=("$word")
        fi
        whole=${words[-1]}
    done
    [[ $current == [=:] ]] && current=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
            :folders) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
            *) line=${line%%$'\t'*}; COMPREPLY+=("${line#"${whole%"$current"}"}") ;;
        esac
    done < <("$program" complete -- "${words[@]}" 2>/dev/null)
}
complete -F _nk_runtime nk-runtime ns-runtime
