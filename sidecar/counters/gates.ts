import type { Candidate, Plan, Scope } from '../../schemas/policy-io.ts';
import type { Gate } from './contract.ts';

/** Whose a candidate's gates are: as it says, else whose the shared limits are that it draws on, else the tenant's. */
export function gateScope({ limits, scope }: Candidate, plan: Plan): Scope {
  if (scope !== undefined) return scope;
  return [...plan.limits, ...limits].find((limit) => limit.scope !== 'tenant')?.scope ?? 'tenant';
}

/** The gates that must be open for the candidate to be taken. */
export function gatesOf(candidate: Candidate, plan: Plan, tenantId: string): Gate[] {
  if (candidate.gates.length === 0) return [];
  const scope = gateScope(candidate, plan);
  return candidate.gates.map((name) => ({ tenantId, scope, name }));
}
