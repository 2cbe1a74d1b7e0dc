#compdef leda
# zsh completion for leda: source <(leda completion zsh)
_leda() {
	local -a words_to_come
	words_to_come=("${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n ${words_to_come[1]} ]]; then
		compadd -a words_to_come
	else
		_files
	fi
}
compdef _leda leda
