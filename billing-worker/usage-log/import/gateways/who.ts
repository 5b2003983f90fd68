import type { Line } from '../values.ts';

/** Who it was, in lines whose fields are of the operator's own making: by the names of the examples in deploy/, or short ones. */
export const who = (line: Line) => ({
  tenant_id: line.tenant_id ?? line.tenant,
  team_id: line.team_id ?? line.team,
  user_id: line.user_id ?? line.user,
  credential_id: line.credential_id ?? line.credential ?? line.key_id,
  decision_id: line.decision_id ?? line.decision,
});
