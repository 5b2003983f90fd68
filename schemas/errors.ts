/**
 * Errors on the wire have OPA's shape: https://www.openpolicyagent.org/docs/rest-api#errors
 * `code` is for programs, `message` for people.
 */
export interface WireError {
  code: ErrorCode;
  message: string;
  errors?: { code: string; message: string }[];
}

export type ErrorCode =
  | 'invalid_parameter'
  | 'unauthorized'
  | 'undefined_document'
  | 'resource_not_found'
  | 'resource_conflict'
  | 'resource_gone'
  | 'invalid_operation'
  | 'evaluation_error'
  | 'internal_error';

export const wireError = (code: ErrorCode, message: string, errors?: WireError['errors']): WireError => ({
  code,
  message,
  ...(errors && { errors }),
});

/** An error as OPA writes it: indented, whether or not the caller asked for it. */
export const errorText = (error: WireError): string => `${JSON.stringify(error, null, 2)}\n`;
