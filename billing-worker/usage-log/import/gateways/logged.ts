/** What a line says, before it is known to be right: each as its gateway writes it, but for units. */
export interface Logged {
  /** The gateway's own id of the request. */
  id: unknown;
  /** Epoch milliseconds. */
  at: number | undefined;
  tenant_id: unknown;
  team_id: unknown;
  user_id: unknown;
  credential_id: unknown;
  decision_id: unknown;
  method: unknown;
  path: unknown;
  status: unknown;
  duration_ms: number | undefined;
  bytes_in: unknown;
  bytes_out: unknown;
}
