#compdef nk-runtime ns-runtime
# zsh completes the words of nk-runtime. The program itself says what can stand at the cursor.
_nk_runtime() {
    local line word
    local -a found
    for line in "${(@f)$(${~words[1]} complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        word=${line%%$'\t'*}
        case $line in
            :files) _files ;;
            :folders) _files -/ ;;
            *$'\t'*) found+=("${word//:/\\:}:${line#*$'\t'}") ;;
            ?*) found+=("${word//:/\\:}") ;;
        esac
    done
    (( $#found )) && _describe 'nk-runtime' found
}
if [[ ${funcstack[1]} == _nk-runtime ]]; then
    _nk_runtime "$@"
else
    compdef _nk_runtime nk-runtime ns-runtime
fi
