/** Says where a server listens; a process that was asked to end does so at once. */
export function started(/** @type {{ port: number }} */ { port }) {
  console.log(`listening on http://127.0.0.1:${port}`);
}
