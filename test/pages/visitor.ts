/** A browser without a window or scripts: it keeps cookies, and follows no redirect. */
export class Visitor {
  readonly cookies: Record<string, string>;
  /** As they came. */
  setCookies: string[] = [];
  /** Of the page that was read last. */
  formToken = '';
  readonly #base: string;

  constructor(base: string, cookies: Record<string, string> = {}) {
    this.#base = base;
    this.cookies = { ...cookies };
  }

  static async signedIn(base: string, area: 'admin' | 'portal', fields: Record<string, string>): Promise<Visitor> {
    const visitor = new Visitor(base);
    await visitor.get(`/${area}/sign-in`);
    const { headers, status } = await visitor.post(`/${area}/sign-in`, fields);
    if (status !== 303) throw new Error(`signing in gave ${status}`);
    await visitor.get(headers.get('location') ?? '');
    return visitor;
  }

  get(path: string) {
    return this.#ask(path, {});
  }

  /** With the token of the page that was read last. */
  post(path: string, fields: Record<string, string> = {}) {
    return this.postWith(path, { form_token: this.formToken, ...fields });
  }

  postWith(path: string, fields: Record<string, string>) {
    return this.#ask(path, { method: 'POST', body: new URLSearchParams(fields) });
  }

  /** Server-sent events, as they come. */
  async follow(path: string) {
    const abort = new AbortController();
    const answer = await fetch(this.#base + path, { headers: { Cookie: this.#cookie() }, signal: abort.signal });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    return {
      /** All that has come when something like this has. */
      until: async (pattern: RegExp) => {
        let text = '';
        while (!pattern.test(text)) {
          const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
          if (done) throw new Error(`it ended after ${text}`);
          text += value;
        }
        abort.abort();
        return text;
      },
    };
  }

  #cookie(): string {
    return Object.entries(this.cookies)
      .map(([name, value]) => `${name}=${value}`)
      .join('; ');
  }

  async #ask(path: string, options: RequestInit) {
    const answer = await fetch(this.#base + path, {
      ...options,
      headers: { Cookie: this.#cookie() },
      redirect: 'manual',
    });
    const text = await answer.text();
    this.setCookies = answer.headers.getSetCookie();
    for (const cookie of this.setCookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      this.cookies[name] = value;
    }
    this.formToken = /name="form_token" value="([^"]+)"/.exec(text)?.[1] ?? this.formToken;
    return { status: answer.status, headers: answer.headers, text };
  }
}
