/**
 * Who reaches the host's kernel log by syslog(2). Source of truth: check_syslog_permissions of kernel/printk/printk.c (v6.12), as a table of every
 * combination.
 */
import test from 'ava'
import { hostSyslogOf } from '../../src/attach/host-syslog.ts'

const INITIAL = 'user:[4026531837]'
const ALL = '000001ffffffffff'
const ALL_BUT_SYSLOG = '000001fbffffffff'

test('CAP_SYSLOG counts in the initial user namespace, and no restriction where there is no filter', t => {
	const seen: string[] = []
	for (const bounding of [ALL, ALL_BUT_SYSLOG])
		for (const userNamespace of [INITIAL, 'user:[4026532000]'])
			for (const dmesgRestrict of ['0\n', '1\n'])
				for (const seccomp of [0, 2]) {
					const status = `Name:\tx\nCapEff:\t${ALL}\nCapBnd:\t${bounding}\nNoNewPrivs:\t0\nSeccomp:\t${seccomp}\nSeccomp_filters:\t0\n`
					const how = hostSyslogOf({ status, userNamespace, dmesgRestrict })
					const capable = bounding === ALL && userNamespace === INITIAL
					const expected = capable
						? 'capability'
						: dmesgRestrict === '0\n' && seccomp === 0
							? 'unrestricted'
							: undefined
					t.is(how, expected, `${bounding} ${userNamespace} ${dmesgRestrict} ${seccomp}`)
					seen.push(String(how))
				}
	t.is(new Set(seen).size, 3)
})

test('a process of which nothing can be read is not spoken of', t => {
	t.is(hostSyslogOf({ status: '', userNamespace: '', dmesgRestrict: '' }), undefined)
})
