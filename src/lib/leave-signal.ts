/** How a service is asked for an end that leaves everything to the next one. */

/** RestartKillSignal= of our unit; a keeper passes it on to its engine. SIGUSR1 is Node's own. */
export const LEAVE_SIGNAL = 'SIGUSR2'
