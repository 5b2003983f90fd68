/** Signs in to the admin's pages as a browser does; gives the cookie. */
export async function signInAsAdmin(worker: string, adminToken: string): Promise<string> {
  const form = await fetch(`${worker}/admin/sign-in`);
  const token = /name="form_token" value="(\w+)"/.exec(await form.text())?.[1] ?? '';
  const answer = await fetch(`${worker}/admin/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { Cookie: cookieOf(form, 'openclaw_form') },
    body: new URLSearchParams({ form_token: token, token: adminToken }),
  });
  if (answer.status !== 303) throw new Error(`signing in: ${answer.status}`);
  return cookieOf(answer, 'openclaw_admin');
}

const cookieOf = ({ headers }: Response, name: string): string =>
  headers
    .getSetCookie()
    .find((cookie) => cookie.startsWith(`${name}=`))
    ?.split(';', 1)[0] ?? '';
