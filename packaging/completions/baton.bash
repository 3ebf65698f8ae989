# bash completion of baton. tests/e2e/test_documentation.py holds it against --help.

_baton() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= each
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        each=${COMP_WORDS[i]}
        [[ $each == -* ]] || { command=$each; break; }
    done

    COMPREPLY=()
    case $before in
        --config | --proxy | --control | --binary)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return ;;
        --control-group) mapfile -t COMPREPLY < <(compgen -g -- "$word"); return ;;
        --drain-strategy) mapfile -t COMPREPLY < <(compgen -W 'gradual immediate' -- "$word"); return ;;
        --log-level)
            mapfile -t COMPREPLY < <(compgen -W 'debug info warning error off' -- "$word")
            return ;;
        --log-format) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$word"); return ;;
        --drain-time | --probation | --filter) return ;;
    esac

    local words='--help --control'
    case $command in
        '') words='run reload rollback drain status stats stop upgrade check --help --version' ;;
        run) words+=' --config --proxy --drain-time --drain-strategy --probation --control-group
            --log-level --log-format' ;;
        reload) words+=' --config --proxy --drain-time --drain-strategy --probation --no-wait
            --wait-drained' ;;
        rollback) ;;
        drain) words+=' --drain-time' ;;
        status) words+=' --json --watch' ;;
        stats) words+=' --json --prometheus --filter' ;;
        stop) words+=' --drain-time --now' ;;
        upgrade) words+=' --binary' ;;
        check) words+=' --config --proxy' ;;
        *) return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _baton baton
