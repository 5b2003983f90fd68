import type { Child, FC } from 'hono/jsx';
import { lineOf } from '../../invoices/document.ts';
import type { Draft } from '../../invoices/draft.ts';
import type { listInvoices } from '../../invoices/read.ts';
import { grouped, money, Time } from './format.tsx';
import { Badge, type Column, Table } from './table.tsx';

export type InvoiceSummary = Awaited<ReturnType<typeof listInvoices>>['data'][number];

const STATES: Record<InvoiceSummary['state'], ['ok' | 'warn' | 'off', string]> = {
  finalised: ['warn', 'open'],
  paid: ['ok', 'paid'],
  void: ['off', 'void'],
};

export const InvoiceState: FC<{ state: InvoiceSummary['state'] }> = ({ state }) => (
  <Badge kind={STATES[state][0]}>{STATES[state][1]}</Badge>
);

/** Invoices and credit notes; `hrefOf` is where one is found. */
export const InvoiceTable: FC<{
  invoices: readonly InvoiceSummary[];
  hrefOf: (id: string) => string;
  actions?: (invoice: InvoiceSummary) => Child;
  withTenant: boolean;
}> = ({ actions, hrefOf, invoices, withTenant }) => {
  const columns: Column<InvoiceSummary>[] = [
    { name: 'Number', cell: ({ id, number }) => <a href={hrefOf(id)}>{number}</a> },
    { name: 'Kind', cell: ({ kind }) => (kind === 'invoice' ? 'Invoice' : 'Credit note') },
    ...(withTenant ? [{ name: 'Tenant', cell: ({ tenant_id }: InvoiceSummary) => tenant_id }] : []),
    {
      name: 'Period',
      cell: ({ cycle }) => (
        <>
          <Time at={cycle.start} day /> to <Time at={cycle.end} day />
        </>
      ),
    },
    { name: 'Date', cell: ({ finalised_at }) => <Time at={finalised_at} day /> },
    {
      name: 'State',
      cell: ({ kind, state }) =>
        kind === 'credit_note' && state === 'finalised' ? (
          <span class="muted">issued</span>
        ) : (
          <InvoiceState state={state} />
        ),
    },
    { name: 'Total', number: true, cell: ({ currency, total }) => money(total, currency) },
    {
      name: 'Download',
      cell: ({ id, number }) => (
        <a href={`${hrefOf(id)}/csv`} download>
          CSV<span class="unseen"> of {number}</span>
        </a>
      ),
    },
    ...(actions ? [{ name: 'Actions', cell: actions }] : []),
  ];
  return (
    <Table
      caption="Invoices, the newest first"
      rows={invoices}
      columns={columns}
      empty={<p>There is no invoice yet.</p>}
    />
  );
};

/** What an invoice would have on it, as it stands. */
export const DraftLines: FC<{ draft: Draft }> = ({ draft: { currency, held, lines, total } }) => (
  <>
    <Table
      caption="Lines"
      rows={[...lines.map(lineOf), undefined]}
      empty=""
      columns={[
        { name: 'Description', cell: (line) => (line ? line.description : <strong>Total</strong>) },
        {
          name: 'Quantity',
          number: true,
          cell: (line) => line && `${grouped(line.quantity)} ${line.unit.replaceAll('_', ' ')}`,
        },
        {
          name: 'Unit price',
          number: true,
          cell: (line) => line && `${line.unit_price}${line.per === 1 ? '' : ` for ${grouped(line.per)}`}`,
        },
        { name: `Amount (${currency})`, number: true, cell: (line) => line?.amount ?? <strong>{total}</strong> },
      ]}
    />
    {held.length > 0 && (
      <p class="notice hint">
        Not on it, as there is no price:{' '}
        {held.map(({ events, model }) => `${grouped(events)} events of ${model}`).join(', ')}.
      </p>
    )}
  </>
);
