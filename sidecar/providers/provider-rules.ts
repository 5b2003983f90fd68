import type { ProvidersConfig } from '../../schemas/config/providers.ts';
import type { ProviderRules } from '../counters/provider-health.ts';

/** `cooldown` and `circuit_breaker` of `providers.yaml` as the store takes them: times in milliseconds. */
export function providerRules({
  circuit_breaker: breaker,
  cooldown,
}: Pick<ProvidersConfig, 'circuit_breaker' | 'cooldown'>): ProviderRules {
  return {
    steps: cooldown.minutes.map((minutes) => minutes * 60_000),
    jitter_percent: cooldown.jitter_percent,
    failures: breaker.failures,
    within: breaker.within_seconds * 1_000,
    open: breaker.open_seconds * 1_000,
    most_open: breaker.most_open_seconds * 1_000,
    probe: breaker.probe_seconds * 1_000,
  };
}
