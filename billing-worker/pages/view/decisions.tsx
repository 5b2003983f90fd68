import type { FC } from 'hono/jsx';
import type { Decision } from '../data/decisions.ts';
import { grouped, reasonText, Time } from './format.tsx';
import { Badge, Table } from './table.tsx';

/** What was asked for, and why it was refused. */
export const Decisions: FC<{ rows: Decision[] }> = ({ rows }) => (
  <Table
    caption="Recent decisions, the newest first"
    rows={rows}
    empty="Nothing was asked for in the last 31 days."
    columns={[
      { name: 'When', cell: ({ at }) => <Time at={at} seconds /> },
      {
        name: 'Outcome',
        cell: ({ granted }) => (granted ? <Badge kind="ok">allowed</Badge> : <Badge kind="over">denied</Badge>),
      },
      { name: 'Why', cell: (decision) => <Why decision={decision} /> },
      { name: 'Model', cell: ({ model }) => model ?? <span class="muted">not named</span> },
      { name: 'LLM tokens', number: true, cell: ({ llmTokens }) => (llmTokens === null ? '–' : grouped(llmTokens)) },
      { name: 'Decision', cell: ({ id }) => <code>{id}</code> },
    ]}
  />
);

const Why: FC<{ decision: Decision }> = ({ decision: { count, granted, limits, reason } }) => (
  <>
    {reasonText(reason)}
    {count > 1 && ` (${grouped(count)} requests)`}
    {!granted && limits.length > 0 && <span class="muted"> · {limits.join(', ')}</span>}
  </>
);
