import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resetConnection } from '../helpers/tcp-reset.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** As the form that was sent: `metadata[x]` is a key of its own. */
type Form = Record<string, string>;

export interface StripeRequest {
  method: string;
  path: string;
  form: Form;
  key: string | undefined;
  authorization: string | undefined;
}

export interface StripeInvoice {
  id: string;
  customer: string;
  currency: string;
  status: 'draft' | 'open' | 'paid' | 'void';
  form: Form;
  items: (Form & { id: string })[];
  notes: (Form & { id: string; total: number })[];
}

/**
 * What goes wrong with a request: `error` is an answer of 500 that is kept under the idempotency key, `unavailable` one of 503
 * that is not, `lost` breaks the connection after the work was done, `hang` does the work and never answers.
 */
export type Fault = 'error' | 'unavailable' | 'lost' | 'hang';

/**
 * A server that remembers, as Stripe does and stripe-mock does not: customers, invoices with their items, credit notes; and
 * answers by idempotency key. What it makes can be looked at, and what goes wrong is said before.
 */
export class StripeServer {
  readonly requests: StripeRequest[] = [];
  readonly invoices = new Map<string, StripeInvoice>();
  readonly customers = new Map<string, Form>();
  /** Asked of each request; undefined: nothing goes wrong. */
  fault: (request: StripeRequest) => Fault | undefined = () => undefined;
  /** Each request goes there too, as it is; and what that answered is kept. */
  shadow: string | undefined;
  readonly shadowed: { request: StripeRequest; status: number; body: string }[] = [];
  /** Is in the total of each invoice, as a pending item of somebody else's would be. */
  extra = 0;
  /** Answers as to a key that was rolled, with a part of it. */
  refuseKey = false;
  /** Told of each request that hangs. */
  onHang: (request: StripeRequest) => void = () => {};
  url = '';
  readonly #answers = new Map<string, { path: string; form: string; status: number; body: object }>();
  #made = 0;

  static async start(): Promise<StripeServer> {
    const stripe = new StripeServer();
    const server = createServer((request, response) => void stripe.#take(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stripe.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    atTestEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return stripe;
  }

  get finalised(): StripeInvoice[] {
    return [...this.invoices.values()].filter(({ status }) => status !== 'draft');
  }

  totalOf = ({ items }: StripeInvoice): number =>
    items.reduce((sum, { amount }) => sum + Number(amount), 0) + this.extra;

  /** As Stripe does after a day. */
  forgetKeys(): void {
    this.#answers.clear();
  }

  async #take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    const { headers, method = '', url = '' } = incoming;
    const { pathname, search, searchParams } = new URL(url, this.url);
    const key = headers['idempotency-key'] as string | undefined;
    const form = Object.fromEntries(method === 'GET' ? searchParams : new URLSearchParams(body));
    const request = { method, path: pathname, form, key, authorization: headers.authorization };
    this.requests.push(request);
    if (this.shadow) await this.#compare(request, { body, search, headers });
    if (this.refuseKey) {
      const message = `Invalid API Key provided: ${headers.authorization?.slice(7)}`;
      return answer(response, 401, { error: { type: 'invalid_request_error', message } });
    }
    const fault = this.fault(request);
    if (fault === 'unavailable') return answer(response, 503, { error: { type: 'api_error', message: 'try again' } });
    const { body: result, status } = this.#once(request, fault === 'error');
    if (fault === 'lost') return resetConnection(incoming.socket);
    if (fault === 'hang') return this.onHang(request);
    answer(response, status, result);
  }

  async #compare(
    request: StripeRequest,
    { body, headers, search }: { body: string; search: string; headers: IncomingHttpHeaders },
  ) {
    const same = ['authorization', 'content-type', 'idempotency-key', 'stripe-version'] as const;
    const answered = await fetch(`${this.shadow}${request.path}${search}`, {
      method: request.method,
      headers: Object.fromEntries(same.flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : []))),
      ...(request.method !== 'GET' && { body }),
    });
    this.shadowed.push({ request, status: answered.status, body: await answered.text() });
  }

  /** The same key again: the same answer, whatever it was, and no work. With other parameters: an error. */
  #once(request: StripeRequest, fails: boolean): { status: number; body: object } {
    const { form, key, path } = request;
    const text = JSON.stringify(form);
    const known = key === undefined ? undefined : this.#answers.get(key);
    if (known) {
      if (known.path === path && known.form === text) return known;
      return refusal(
        400,
        'idempotency_error',
        'Keys for idempotent requests can only be used with the same parameters',
      );
    }
    const result = fails ? refusal(500, 'api_error', 'something went wrong') : this.#route(request);
    if (key !== undefined) this.#answers.set(key, { path, form: text, ...result });
    return result;
  }

  #route({ form, method, path }: StripeRequest): { status: number; body: object } {
    const [, , resource, id = '', action] = path.split('/');
    const invoice = this.invoices.get(id);
    const name = `${method} ${resource}${id && ' id'}${action ? ` ${action}` : ''}`;
    if (resource === 'invoices' && id && !invoice) return missing(id);
    switch (name) {
      case 'POST customers':
        return ok(this.#customer(form));
      case 'POST invoices':
        return ok(this.#shown(this.#create(form)));
      case 'GET invoices':
        return ok(
          list([...this.invoices.values()].filter(({ customer }) => customer === form.customer).map(this.#shown)),
        );
      case 'GET invoices id':
        return ok(this.#shown(invoice as StripeInvoice));
      case 'POST invoices id finalize':
        return this.#finalise(invoice as StripeInvoice);
      case 'POST invoiceitems':
        return this.#item(form);
      case 'GET invoiceitems':
        return ok(
          list(
            (this.invoices.get(form.invoice ?? '')?.items ?? []).map((item) => ({
              id: item.id,
              metadata: metadata(item),
            })),
          ),
        );
      case 'POST credit_notes':
        return this.#creditNote(form);
      case 'GET credit_notes':
        return ok(list((this.invoices.get(form.invoice ?? '')?.notes ?? []).map(shownNote)));
      default:
        return refusal(404, 'invalid_request_error', `no such route: ${name}`);
    }
  }

  #customer(form: Form): object {
    const id = `cus_${++this.#made}`;
    this.customers.set(id, form);
    return { id, object: 'customer' };
  }

  #create(form: Form): StripeInvoice {
    const { currency = '', customer = '' } = form;
    const id = `in_${++this.#made}`;
    const invoice = { id, customer, currency, status: 'draft' as const, form, items: [], notes: [] };
    this.invoices.set(id, invoice);
    return invoice;
  }

  #item(form: Form): { status: number; body: object } {
    const invoice = this.invoices.get(form.invoice ?? '');
    if (!invoice) return missing(form.invoice ?? '');
    if (invoice.status !== 'draft') return refusal(400, 'invalid_request_error', 'the invoice is no draft any more');
    const id = `ii_${++this.#made}`;
    invoice.items.push({ ...form, id });
    return ok({ id, object: 'invoiceitem' });
  }

  #finalise(invoice: StripeInvoice): { status: number; body: object } {
    if (invoice.status !== 'draft') return refusal(400, 'invalid_request_error', 'already finalized');
    // What is negative goes to the customer's balance, and nothing is due.
    invoice.status = this.totalOf(invoice) > 0 ? 'open' : 'paid';
    return ok(this.#shown(invoice));
  }

  #creditNote(form: Form): { status: number; body: object } {
    const invoice = this.invoices.get(form.invoice ?? '');
    if (!invoice) return missing(form.invoice ?? '');
    const total = Number(form['lines[0][unit_amount]']) * Number(form['lines[0][quantity]']);
    if (invoice.status === 'paid' && Number(form.credit_amount) !== total) {
      return refusal(400, 'invalid_request_error', 'say what becomes of the amount of a paid invoice');
    }
    const note = { ...form, id: `cn_${++this.#made}`, total };
    invoice.notes.push(note as StripeInvoice['notes'][number]);
    return ok(shownNote(note as StripeInvoice['notes'][number]));
  }

  #shown = (invoice: StripeInvoice): object => {
    const { currency, customer, form, id, status } = invoice;
    return {
      id,
      object: 'invoice',
      customer,
      currency,
      status,
      total: this.totalOf(invoice),
      metadata: metadata(form),
    };
  };
}

const shownNote = (note: StripeInvoice['notes'][number]) => ({
  id: note.id,
  object: 'credit_note',
  total: note.total,
  metadata: metadata(note),
});

const metadata = (form: object) =>
  Object.fromEntries(
    Object.entries(form).flatMap(([name, value]) => {
      const [, key] = /^metadata\[(.+)\]$/.exec(name) ?? [];
      return key === undefined ? [] : [[key, value]];
    }),
  );

const ok = (body: object) => ({ status: 200, body });
const list = (data: object[]) => ({ object: 'list', data, has_more: false, url: '/' });
const refusal = (status: number, type: string, message: string, code?: string) => ({
  status,
  body: { error: { type, message, ...(code && { code }) } },
});
const missing = (id: string) => refusal(404, 'invalid_request_error', `No such invoice: '${id}'`, 'resource_missing');

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
