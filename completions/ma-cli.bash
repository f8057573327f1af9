_ma_cli_completion() {
    local IFS=$'\n' reply kind value
    reply=$(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _MA_CLI_COMPLETE=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    for reply in $reply; do
        kind=${reply%%,*}
        value=${reply#*,}
        case $kind in
            dir) compopt -o dirnames; COMPREPLY=() ;;
            file) compopt -o default; COMPREPLY=() ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F _ma_cli_completion ma-cli
