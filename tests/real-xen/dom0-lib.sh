# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# For scripts that run in dom0: guests and what runs in them, the daemon's processes, and TAP lines. Sourced.

GUEST_LOGS=/var/log/xen/console
SYSLOG=/var/log/syslog
# For the scripts that source this file.
# shellcheck disable=SC2034
RUN_DIR=/run/xen-9pfs
# shellcheck disable=SC2034
DAEMON=/usr/lib/xen-4.20/bin/xen-9pfsd

# ---- TAP ----

TESTS=0
FAILURES=0

# check TEXT COMMAND [ARGUMENT]...: one TAP line. What the command says is shown when it fails. The command runs in
# this shell, so that it can remember things in variables.
check()
{
    text=$1
    shift
    TESTS=$((TESTS + 1))
    read_clock
    started=$now
    if "$@" >/tmp/said 2>&1; then
        read_clock
        echo "ok $TESTS - $text ($((now - started)) s)"
    else
        FAILURES=$((FAILURES + 1))
        read_clock
        echo "not ok $TESTS - $text ($((now - started)) s)"
        tail -n 150 /tmp/said | sed 's/^/# /'
    fi
}

# note LINE...: context for whoever reads the output.
note()
{
    printf '# %s\n' "$*"
}

plan()
{
    echo "1..$TESTS"
}

# ---- transcript ----
#
# Commands with what they say, as Markdown for the documentation: `check` on the developer's machine takes it out of
# the output, where each line of it begins with "#|".

TRANSCRIPT=/tmp/transcript

# tell SENTENCE...: stands in front of the commands that follow.
tell()
{
    printf '\n%s\n\n' "$*" >>$TRANSCRIPT
}

# keep PROMPT COMMAND STATUS: puts the command and /tmp/shown into the transcript, shows it, returns the status.
keep()
{
    {
        printf '    %s %s\n' "$1" "$2"
        sed 's/^/    /; s/ *$//' /tmp/shown
    } >>$TRANSCRIPT
    cat /tmp/shown
    return "$3"
}

# show_dom0 COMMAND: runs it for the transcript.
show_dom0()
{
    eval "$1" >/tmp/shown 2>&1
    keep 'dom0#' "$1" $?
}

# show_guest NAME COMMAND: the same in a guest.
show_guest()
{
    guest_run "$1" 60 "$2" >/tmp/shown 2>&1
    keep "$1#" "$2" $?
}

print_transcript()
{
    sed 's/^/#| /; s/ *$//' $TRANSCRIPT
}

# Seconds since power-on, into the variable `now`: no process, which costs 10 ms here.
read_clock()
{
    read -r now _ </proc/uptime
    now=${now%.*}
}

# wait_until SECONDS COMMAND [ARGUMENT]...: tries until it works or the time is over.
wait_until()
{
    read_clock
    deadline=$((now + $1))
    shift
    until "$@"; do
        read_clock
        if [ "$now" -ge "$deadline" ]; then
            echo "still not so: $*"
            return 1
        fi
        usleep 400000
    done
}

# ---- the disk with the guests' Debian ----

disk_with_serial()
{
    for disk in /sys/block/nvme*; do
        read -r serial <"$disk/device/serial"
        [ "$serial" != "$1" ] || echo "/dev/${disk##*/}"
    done
}

userland_is_there()
{
    [ -n "$(disk_with_serial userland)" ]
}

# mount_userland FOLDER
mount_userland()
{
    modprobe nvme
    modprobe ext4
    wait_until 20 userland_is_there && mkdir -p "$1" && mount -t ext4 "$(disk_with_serial userland)" "$1"
}

# ---- guests ----

# guest_configure NAME MEMORY [P9 DEVICE]...: writes the guest's configuration file, /tmp/NAME.cfg. One virtual CPU: the
# emulated machine has two, and dom0 wants one of them. GUEST_TYPE says what kind of guest: pv, unless it is set.
guest_configure()
{
    name=$1
    memory=$2
    shift 2
    devices=
    for device in "$@"; do
        devices="$devices'$device',"
    done
    cat >"/tmp/$name.cfg" <<END
name = '$name'
type = '${GUEST_TYPE:-pv}'
memory = $memory
vcpus = 1
kernel = '/boot/guest-kernel'
ramdisk = '/boot/guest-ramdisk'
extra = 'console=hvc0 loglevel=5 sysrq_always_enabled=1'
on_poweroff = 'destroy'
on_reboot = 'destroy'
p9 = [ $devices ]
END
}

# share TAG PATH [SECURITY MODEL]: the setting of one share, as it stands in a guest's p9 list.
share()
{
    echo "tag=$1,path=$2,security_model=${3:-none},type=xen_9pfsd"
}

guest_create()
{
    rm -f "$GUEST_LOGS/guest-$1.log"
    xl create "/tmp/$1.cfg"
}

guest_log()
{
    cat "$GUEST_LOGS/guest-$1.log"
}

guest_said()
{
    grep -aq "$2" "$GUEST_LOGS/guest-$1.log" 2>/dev/null
}

guest_is_up()
{
    guest_said "$1" '^@@up'
}

guest_wait()
{
    wait_until 90 guest_is_up "$1" || {
        tail -n 20 "$GUEST_LOGS/guest-$1.log"
        return 1
    }
}

domid()
{
    xl domid "$1" 2>/dev/null
}

guest_console()
{
    xenstore-read "/local/domain/$(domid "$1")/console/tty"
}

# guest_has_answered NAME DOMID ID: or it is gone, and will not.
guest_has_answered()
{
    guest_said "$1" "^@@done $3 " || ! xenstore-exists "/local/domain/$2"
}

# guest_run NAME SECONDS COMMAND...: runs a command in the guest, shows what it said, returns its status. A guest that
# does not answer in time is given up: later commands fail at once instead of waiting.
guest_run()
{
    name=$1
    seconds=$2
    shift 2
    if [ -e "/tmp/$name.stuck" ]; then
        echo "the guest hangs in an earlier command: $(cat "/tmp/$name.stuck")"
        return 1
    fi
    domain=$(domid "$name")
    if [ -z "$domain" ]; then
        echo "the guest $name does not run"
        return 1
    fi
    id=$(cat /proc/sys/kernel/random/uuid)
    printf '%s %s\n' "$id" "$*" >"$(guest_console "$name")" || return 1
    if ! wait_until "$seconds" guest_has_answered "$name" "$domain" "$id" >/dev/null; then
        echo "$*" >"/tmp/$name.stuck"
        echo "no answer within $seconds seconds; what hangs in the guest:"
        guest_tell_blocked "$name"
        tell_workers
        return 1
    fi
    answer=$(guest_log "$name" | tr -d '\r')
    if ! printf '%s\n' "$answer" | grep -q "^@@done $id "; then
        echo "the guest $name has ended while it ran $*"
        return 1
    fi
    printf '%s\n' "$answer" | guest_part_before "$id"
    return "$(printf '%s\n' "$answer" | sed -n "s/^@@done $id //p")"
}

# What the worker's threads do: where each waits in the kernel, and how often it has run within two seconds. A worker that
# does not run while its guest waits has lost something; one that does is slow.
tell_workers()
{
    for round in before after; do
        for pid in $(worker_pids); do
            for task in "/proc/$pid/task"/*; do
                echo "$round: $(cat "$task/comm") ${task##*/} in $(cat "$task/wchan") $(grep -h ^voluntary "$task/status")"
            done
        done
        sleep 2
    done
}

# Where the guest's processes wait, by its own kernel's account.
guest_tell_blocked()
{
    length=$(guest_log "$1" | wc -l)
    xl sysrq "$1" 8 # all messages to the console
    xl sysrq "$1" w # blocked tasks
    sleep 3
    xl sysrq "$1" 5
    guest_log "$1" | tail -n "+$((length + 1))" | grep -vE ' \? |(RSP|R[A-D]X|R[0-9][0-9]|RBP|FS|CS): |</?TASK>'
}

# Of a console log, the lines between the last answer before the one with this id and that one.
guest_part_before()
{
    sed "/^@@done $1 /,\$d" | awk '/^@@/ { text = ""; next } NF { text = text $0 "\n" } END { printf "%s", text }'
}

guest_work()
{
    name=$1
    seconds=$2
    shift 2
    guest_run "$name" "$seconds" "guest-work $*"
}

guest_destroy()
{
    xl destroy "$1"
    rm -f "/tmp/$1.stuck"
}

# ---- the daemon ----

supervisor_pid()
{
    for process in /proc/[0-9]*; do
        if is_daemon "$process" && ! is_worker "$process" && ! grep -qs keeper "$process/comm"; then
            echo "${process#/proc/}"
        fi
    done
}

worker_pids()
{
    for process in /proc/[0-9]*; do
        if is_daemon "$process" && is_worker "$process"; then
            echo "${process#/proc/}"
        fi
    done
}

is_daemon()
{
    [ -e "$1/exe" ] || return 1 # a kernel thread: this costs no process
    case $(readlink "$1/exe" 2>/dev/null) in
        */xen-9pfsd | */xen-9pfsd\ \(deleted\)) ;; # since an upgrade
        *) return 1 ;;
    esac
    # A zombie has no command line any more and holds nothing but its number.
    [ -n "$(tr -d '\0' <"$1/cmdline" 2>/dev/null)" ]
}

# By the command line, or the process title that replaced it. A worker's keeper has the same and another name; it ends with
# its worker, which the kernel sees to.
is_worker()
{
    tr '\0' ' ' <"$1/cmdline" 2>/dev/null | grep -q worker && ! grep -qs keeper "$1/comm"
}

count_workers()
{
    worker_pids | wc -l
}

has_workers()
{
    [ "$(count_workers)" -eq "$1" ] || {
        echo "$(count_workers) workers, not $1"
        return 1
    }
}

# Lines of the system's log since a line number, but for the toolstack's own.
log_since()
{
    tail -n "+$(($1 + 1))" "$SYSLOG"
}

log_length()
{
    wc -l <"$SYSLOG"
}

backend_nodes()
{
    xenstore-ls -f /local/domain/0/backend 2>/dev/null | grep -E '/(xen_)?9pfs/' || true
}

domain_count()
{
    xl list | tail -n +3 | wc -l
}
