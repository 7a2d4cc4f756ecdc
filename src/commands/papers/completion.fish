# fish completes the words of nk-runtime. The program itself says what can stand at the cursor.
function __nk_runtime
    set -l words (commandline -opc)
    set -l cursor (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program complete -- $words "$cursor" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path "$cursor"
            case :folders
                __fish_complete_directories "$cursor" ''
            case '*'
                echo $line
        end
    end
end
complete -c nk-runtime -f -a '(__nk_runtime)'
complete -c ns-runtime -f -a '(__nk_runtime)'
