/**
 * What a program that failed said: nothing of one that did not.
 * @param {import('../lib/run.mjs').Outcome} outcome
 * @returns {string[]}
 */
export const complaint = ({ ok, problem, stderr, stdout }) => (ok ? [] : [stderr.trim() || stdout.trim() || problem]);
