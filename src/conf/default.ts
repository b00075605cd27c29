/**
 * The configuration that a POG starts with: the files that programs and people look for in Debian (auth.log, syslog,
 * kern.log, ...) and Red Hat (messages) images. Source: /etc/syslog.conf of sysklogd, /etc/rsyslog.conf of Debian 12.
 *
 * It is what a container reads in its own /etc/syslog.conf, so it explains itself.
 */
export const DEFAULT_SYSLOG_CONF = `# /etc/syslog.conf: what this container's private log keeps in which file.
#
# SELECTOR (facility.severity, see syslog.conf(5)), blanks, ACTION (a file below
# /var/log). Changes hold from the moment this file is closed, for this container
# only. Problems are told in /run/pog/status and in the log itself (syslog.err).

auth,authpriv.*                         /var/log/auth.log
*.*;auth,authpriv.none                  -/var/log/syslog
*.info;auth,authpriv,cron,mail.none     -/var/log/messages
kern.*                                  -/var/log/kern.log
daemon.*                                -/var/log/daemon.log
user.*                                  -/var/log/user.log
mail.*                                  -/var/log/mail.log
cron.*                                  -/var/log/cron.log
`
