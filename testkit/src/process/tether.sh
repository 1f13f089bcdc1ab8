# tether FOLDER PROGRAM...: runs PROGRAM until standard input ends, which it does when whoever holds its other end is gone, however it went.
# Then the whole process group is killed and FOLDER removed.
folder=$1
shift
exec 3<&0
(
    cat <&3 >/dev/null
    kill -TERM $$
) &
"$@" 3<&- </dev/null &
program=$!
trap 'kill -KILL $program; wait $program; rm -rf -- "$folder"; kill -KILL 0' TERM
wait $program
status=$?
trap '' TERM
kill -TERM 0
exit $status
