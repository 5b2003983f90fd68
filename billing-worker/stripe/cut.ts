/** Stripe limits its texts: descriptions, names and the values of metadata. */
export const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;
