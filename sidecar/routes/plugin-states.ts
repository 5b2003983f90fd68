import type { SinkStatus } from '../decision-log/sink.ts';
import type { PolicyStatus } from '../policy/status.ts';

/** What is known of the parts that OPA has as plugins. */
export interface PluginDeps {
  policyStatus: () => PolicyStatus;
  /** Undefined: decisions are not logged. */
  decisionLog: { readonly status: SinkStatus } | undefined;
}

interface PluginState {
  state: 'OK' | 'NOT_READY' | 'ERROR';
  message?: string;
}

/**
 * The parts of OPA that the sidecar has one of, in the states that OPA gives them. As there, decision logs that wait for
 * their upload are no error of the plugin; those that are lost are.
 */
export function pluginStates({ decisionLog, policyStatus }: PluginDeps): Record<string, PluginState> {
  const { activeRevision } = policyStatus();
  return {
    bundle: { state: activeRevision === undefined ? 'NOT_READY' : 'OK' },
    ...(decisionLog && { decision_logs: decisionLogState(decisionLog.status) }),
  };
}

const decisionLogState = ({ lost }: SinkStatus): PluginState =>
  lost === undefined ? { state: 'OK' } : { state: 'ERROR', message: lost };
