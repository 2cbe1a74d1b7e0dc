# fish completion for leda: leda completion fish | source
function __leda_words
	set -l typed (commandline -opc)
	command $typed[1] completion words $typed[2..] (commandline -ct) 2>/dev/null
end
complete -c leda -a '(__leda_words)'
