import type { PolicyStatus } from '../policy/status.ts';

/** The parts of OPA that the sidecar has one of, in the states that OPA gives them. */
export const pluginStates = ({ activeRevision }: PolicyStatus): Record<string, { state: 'OK' | 'NOT_READY' }> => ({
  bundle: { state: activeRevision === undefined ? 'NOT_READY' : 'OK' },
});
