import { createHash } from 'node:crypto';
import { html, raw } from 'hono/html';
import type { InvoiceDocument } from '../invoices/document.ts';
import type { InvoiceState } from '../invoices/states.ts';
import { STYLE } from './style.ts';

export interface PrintedInvoice {
  issuer: string;
  document: InvoiceDocument;
  state: InvoiceState;
  /** When it came to be in that state. */
  stateSince: string;
  /** Where the payment is found. */
  reference: string | null;
  creditNotes: { number: string; total: string; reason: string; finalisedAt: string }[];
  /** Of a credit note: the number of the invoice that it corrects. */
  credits: string | null;
}

/** What the page may do: have its own style, and nothing else. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

type Html = ReturnType<typeof html>;
type Line = InvoiceDocument['lines'][number];

const TITLES = { invoice: 'Invoice', credit_note: 'Credit note' };

/** A page to print, or to save as PDF. Whatever comes from elsewhere is escaped. */
export function invoicePage(invoice: PrintedInvoice): Html {
  const { document, state } = invoice;
  const title = TITLES[document.kind];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>${title} ${document.number}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
${state === 'finalised' ? '' : html`<div class="mark ${state}" aria-hidden="true">${state}</div>`}
<header>
<div><h1>${title}</h1><p class="number">${document.number}</p></div>
${stateBadge(invoice)}
</header>
<main>
${heading(invoice)}
${linesTable(document)}
${invoice.creditNotes.length ? creditNotes(invoice) : ''}
</main>
<footer>Instants are in UTC; a period ends before its last instant. Each line is quantity × unit price, exactly, and rounded once; the
total is the sum of the rounded amounts. Document ${document.id}.</footer>
</body>
</html>
`;
}

function stateBadge({ document, state, stateSince }: PrintedInvoice): Html | string {
  if (state === 'finalised') return document.kind === 'credit_note' ? '' : html`<p class="state">Open</p>`;
  return html`<p class="state ${state}">${state} <time datetime="${stateSince}">${day(stateSince)}</time></p>`;
}

function heading({ credits, document, issuer, reference }: PrintedInvoice): Html {
  const { cycle, finalised_at, reason, tenant_id } = document;
  const entries: [string, Html | string][] = [
    ['Issuer', issuer],
    ['Tenant', tenant_id],
    ['Date', time(finalised_at)],
    ['Period', html`${time(cycle.start)} to ${time(cycle.end)}`],
    ['Currency', document.currency],
  ];
  if (credits !== null) entries.push(['Corrects', credits]);
  if (reason !== undefined) entries.push(['Reason', reason]);
  if (reference !== null) entries.push(['Reference', reference]);
  return html`<dl>${entries.map(
    ([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>
`,
  )}</dl>`;
}

const linesTable = ({ currency, lines, total }: InvoiceDocument): Html => html`<table aria-label="Lines">
<thead><tr><th scope="col">#</th><th scope="col">Description</th><th scope="col" class="n">Quantity</th><th scope="col" class="n">Unit price</th><th scope="col" class="n">Exact amount</th><th scope="col" class="n">Amount (${currency})</th></tr></thead>
<tbody>
${lines.map(lineRow)}</tbody>
<tfoot><tr><th scope="row" colspan="5">Total</th><td class="n">${total} ${currency}</td></tr></tfoot>
</table>`;

const lineRow = (
  line: Line,
): Html => html`<tr><td>${line.line}</td><th scope="row">${line.description}${notes(line)}</th><td class="n">${grouped(line.quantity)}<span class="note">${line.unit.replaceAll('_', ' ')}</span></td><td class="n">${line.unit_price}${line.per === 1 ? '' : html`<span class="note">for ${grouped(String(line.per))}</span>`}</td><td class="n">${line.exact_amount}</td><td class="n">${line.amount}</td></tr>
`;

function notes({ adjustment, cycle, plan }: Line): Html | string {
  const said = [
    plan === undefined ? undefined : `Plan ${plan}`,
    adjustment && cycle ? `Adjustment of ${day(cycle.start)} to ${day(cycle.end)}` : undefined,
  ].filter((each) => each !== undefined);
  return said.length ? html`<span class="note">${said.join(' · ')}</span>` : '';
}

const creditNotes = ({ creditNotes, document: { currency } }: PrintedInvoice): Html => html`<section>
<h2>Credit notes on this invoice</h2>
<table>
<thead><tr><th scope="col">Number</th><th scope="col">Date</th><th scope="col">Reason</th><th scope="col" class="n">Amount (${currency})</th></tr></thead>
<tbody>
${creditNotes.map(
  ({
    finalisedAt,
    number,
    reason,
    total,
  }) => html`<tr><th scope="row">${number}</th><td>${day(finalisedAt)}</td><td>${reason}</td><td class="n">${total}</td></tr>
`,
)}</tbody>
</table>
</section>`;

const day = (instant: string) => instant.slice(0, 10);

/** To the minute, or the second where it is not a whole one. */
const time = (instant: string): Html => {
  const [date = '', clock = ''] = instant.replace('Z', '').split('T');
  const shown = clock.replace(/\.000$/, '').replace(/:00$/, '');
  return html`<time datetime="${instant}">${date} ${shown}</time>`;
};

/** 1234567 as 1,234,567; what is behind the point stays. */
const grouped = (quantity: string) =>
  quantity.replace(/^(-?)(\d+)/, (_, sign, whole) => sign + whole.replace(/\B(?=(\d{3})+$)/g, ','));
