import { Hono } from 'hono';
import type { FC } from 'hono/jsx';
import { type ModelState, type ProviderAccount, providerAccounts } from '../data/providers.ts';
import type { PagesDeps } from '../deps.ts';
import { page, problem } from '../respond.tsx';
import type { PageEnv } from '../session/guard.ts';
import { Bar } from '../view/bar.tsx';
import { duration, Time } from '../view/format.tsx';
import { Badge, Table } from '../view/table.tsx';

const STATES: Record<ModelState['state'], ['ok' | 'warn' | 'over', string]> = {
  available: ['ok', 'available'],
  half_open: ['warn', 'being tried again'],
  cooldown: ['warn', 'cooling down'],
  quota_exhausted: ['over', 'quota used up'],
  circuit_open: ['over', 'failing'],
};

/** `/admin/providers`: what each account at a provider has left, and which models rest, until when and why. */
export function providerRoutes({ clock, sidecar }: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/admin/providers', async (c) => {
    const answer = await providerAccounts(sidecar);
    const accounts = answer.ok ? answer.value.accounts : [];
    const notice = answer.ok || answer.status === 404 ? undefined : problem(answer.message);
    return page(
      c,
      { title: 'Providers', current: 'Providers', live: true, notice },
      <>
        <h1>Providers</h1>
        <p class="lead">Limits of each account, shared by all tenants, and the state of each model.</p>
        <div id="accounts" data-fresh>
          {accounts.map((account) => (
            <Account account={account} now={clock.now()} />
          ))}
        </div>
        {accounts.length === 0 && notice === undefined && (
          <div class="empty card">
            <p>Not configured: providers.yaml names no account.</p>
          </div>
        )}
      </>,
    );
  });
  return app;
}

const Account: FC<{ account: ProviderAccount; now: number }> = ({ account, now }) => (
  <section aria-label={account.account}>
    <h2>
      {account.account}{' '}
      <span class="muted">
        {account.provider}
        {account.tier && `, tier ${account.tier}`}
      </span>
    </h2>
    {account.limits.length > 0 && (
      <ul class="tiles">
        {account.limits.map(({ capacity, period, reset_at, unit, used, window_s }) => (
          <li class="card tile">
            <h3>
              {unit.replaceAll('_', ' ')} {periodText(period, window_s)}
            </h3>
            <Bar used={used} capacity={capacity} unit={unit} />
            {reset_at && used > 0 && <Until at={reset_at} now={now} word="resets" />}
          </li>
        ))}
      </ul>
    )}
    <h3 class="unseen">Models</h3>
    <Table
      caption={`Models of ${account.account}`}
      rows={account.models}
      empty="No model of this account was asked for yet."
      columns={[
        { name: 'Model', cell: ({ model }) => model },
        { name: 'State', cell: ({ state }) => <Badge kind={STATES[state][0]}>{STATES[state][1]}</Badge> },
        { name: 'Until', cell: ({ until }) => (until ? <Until at={until} now={now} word="again" /> : '–') },
        {
          name: 'Why',
          cell: ({ nth, why }) => (
            <>
              {why ?? '–'}
              {nth && nth > 1 ? `, ${nth} times in a row` : ''}
            </>
          ),
        },
      ]}
    />
  </section>
);

const SPANS: Record<number, string> = { 60: 'a minute', 3600: 'an hour', 86400: 'a day' };

const periodText = (period: string | null | undefined, seconds: number | null | undefined): string =>
  period ? `a ${period}` : seconds ? (SPANS[seconds] ?? `in ${seconds} s`) : '';

const Until: FC<{ at: string | number; now: number; word: string }> = ({ at, now, word }) => {
  const left = new Date(at).getTime() - now;
  return (
    <span class="muted">
      {left > 0 ? `${word} in ${duration(left)}: ` : `${word} at `}
      <Time at={at} seconds />
    </span>
  );
};
