# bash completion for leda: source <(leda completion bash)
_leda() {
	local IFS=$'\n'
	COMPREPLY=($("${COMP_WORDS[0]}" completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _leda leda
