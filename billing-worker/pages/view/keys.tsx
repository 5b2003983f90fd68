import type { Child, FC } from 'hono/jsx';
import type { ShownKey } from '../data/api-keys.ts';
import { Time } from './format.tsx';
import { Badge, Table } from './table.tsx';

const STATES: Record<ShownKey['state'], ['ok' | 'warn' | 'over' | 'off', string]> = {
  active: ['ok', 'active'],
  ending: ['warn', 'ending'],
  expired: ['off', 'expired'],
  revoked: ['over', 'revoked'],
};

const KeyState: FC<{ state: ShownKey['state'] }> = ({ state }) => (
  <Badge kind={STATES[state][0]}>{STATES[state][1]}</Badge>
);

/** For whom it speaks. */
export const holderText = ({ team_id, tenant_id, user_id }: ShownKey): string =>
  user_id !== undefined ? `user ${user_id}` : team_id !== undefined ? `team ${team_id}` : `all of ${tenant_id}`;

export const isLive = ({ state }: ShownKey): boolean => state === 'active' || state === 'ending';

/** Keys without their secrets. */
export const KeyTable: FC<{
  keys: readonly ShownKey[];
  actions: (key: ShownKey) => Child;
  withTenant: boolean;
  empty: Child;
}> = ({ actions, empty, keys, withTenant }) => (
  <Table
    caption="API keys"
    rows={keys}
    empty={empty}
    columns={[
      {
        name: 'Key',
        cell: ({ name, prefix }) => (
          <>
            {name !== undefined && <>{name} · </>}
            <code>{prefix}…</code>
          </>
        ),
      },
      ...(withTenant ? [{ name: 'Tenant', cell: ({ tenant_id }: ShownKey) => tenant_id }] : []),
      { name: 'Speaks for', cell: holderText },
      { name: 'State', cell: ({ state }) => <KeyState state={state} /> },
      { name: 'Issued', cell: ({ created_at }) => <Time at={created_at} day /> },
      {
        name: 'Ends',
        cell: ({ expires_at }) =>
          expires_at === undefined ? <span class="muted">never</span> : <Time at={expires_at} />,
      },
      {
        name: 'Last used',
        cell: ({ last_used_at }) =>
          last_used_at === undefined ? <span class="muted">never</span> : <Time at={last_used_at} />,
      },
      { name: 'Actions', cell: (key) => (isLive(key) ? actions(key) : <span class="muted">none</span>) },
    ]}
  />
);

/** The only time that a key is seen. */
export const NewKey: FC<{ secret: string; about: Child; back: string }> = ({ about, back, secret }) => (
  <section class="card confirm">
    <h1>The new key</h1>
    <p>{about} It is shown this once: copy it now. Only its digest is kept.</p>
    <code class="secret" id="new-key">
      {secret}
    </code>
    <p>
      <a href={back}>I have copied it</a>
    </p>
  </section>
);
