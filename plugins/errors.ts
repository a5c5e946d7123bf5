import type { ServerResponse } from 'node:http'
import { BrokerError, type ErrorCode } from '../src/core/errors.ts'
import { StoreConflict, StoreIntegrity, StoreUnavailable } from '../src/core/store.ts'

/** Where failures are told to the operator. Pino satisfies it. */
export interface FailureLog {
  error (fields: Readonly<Record<string, unknown>>, message: string): void
}

/** An error as a client sees it (contract 1.8). */
export interface ErrorAnswer {
  readonly status: number
  /** `{"errors":["…"]}`, or `{"errors":[]}` where there is nothing to say. */
  readonly json: string
  /** Seconds after which a client may try again; 0 where that is not for us to say. */
  readonly retryAfterSeconds: number
}

/** Complete by construction: a code that src/ adds does not compile until it has a status. */
const statusOf: Record<ErrorCode, number> = {
  invalid_request: 400,
  permission_denied: 403,
  not_found: 404,
  unsupported_operation: 405,
  too_large: 413,
  unsupported_media_type: 415,
  limit_exceeded: 429,
  upstream_throttled: 502,
  upstream_failed: 502,
  failed: 500,
  unavailable: 503
}

/** Every status the broker's errors can have, for metrics and tests. */
export const errorStatuses: ReadonlySet<number> = new Set(Object.values(statusOf))

/**
 * What a thrown value means to the client. Only a BrokerError speaks in its own words; all else is
 * one of three fixed sentences, so no library's text, stack or input reaches an answer (SEC-303).
 */
export function toErrorAnswer (error: unknown): ErrorAnswer {
  if (error instanceof BrokerError) {
    const retries = error.code === 'unavailable' || error.code === 'limit_exceeded'
    return errorAnswer(statusOf[error.code], error.message, retries ? 1 : 0)
  }
  if (error instanceof StoreUnavailable) return errorAnswer(503, 'the store is not available', 1)
  if (error instanceof StoreIntegrity) return errorAnswer(500, 'integrity error', 0)
  return errorAnswer(500, 'internal error', 0)
}

function errorAnswer (status: number, message: string, retryAfterSeconds: number): ErrorAnswer {
  return { status, json: JSON.stringify({ errors: message === '' ? [] : [message] }), retryAfterSeconds }
}

/**
 * Tells the operator about a failure by an allow-list: names, codes and places in the code. An answer
 * that the contract words itself, without a cause behind it, is no failure of ours. Messages stay out, for libraries put keys and arguments into them (SEC-280).
 */
export function logFailure (log: FailureLog, requestId: string, error: unknown): void {
  if (error instanceof BrokerError && (statusOf[error.code] < 500 || error.cause === undefined)) return
  log.error({ requestId, failure: describe(error), cause: error instanceof Error ? describe(error.cause) : undefined }, 'request failed')
}

function describe (error: unknown): object | undefined {
  if (!(error instanceof Error)) return error === undefined ? undefined : { kind: typeof error }
  const code: unknown = 'code' in error ? error.code : undefined
  const reason = error instanceof StoreConflict ? error.reason : undefined
  const lines = error.stack?.split('\n').slice(error.message.split('\n').length) ?? []
  const places = lines.filter((line) => /^\s+at /.test(line)).map((line) => line.trim())
  return { name: error.name, code: typeof code === 'string' ? code : undefined, reason, places }
}

/** Headers of every JSON answer, as the flat list that `writeHead` takes. hvac compares the type by `==`. */
const jsonHeaders = ['content-type', 'application/json', 'cache-control', 'no-store', 'x-content-type-options', 'nosniff', 'content-length']
const emptyHeaders = ['cache-control', 'no-store', 'x-content-type-options', 'nosniff']
const emptyHeadersCounted = [...emptyHeaders, 'content-length', '0']

/** Writes a JSON answer whole. `extra` is a flat list of header names and values. */
export function writeJson (response: ServerResponse, status: number, json: string, extra: readonly string[]): void {
  response.writeHead(status, [...jsonHeaders, String(Buffer.byteLength(json)), ...extra])
  response.end(json)
}

/** Writes an answer that is no JSON. */
export function writeText (
  response: ServerResponse, { contentType, text, as }: { contentType: string, text: string, as?: 'invalid' }
): void {
  const headers = ['content-type', contentType, ...emptyHeaders, 'content-length', String(Buffer.byteLength(text))]
  response.writeHead(as === 'invalid' ? 400 : 200, headers)
  response.end(text)
}

/** Writes an answer without a body. */
export function writeEmpty (response: ServerResponse, status: number, extra: readonly string[]): void {
  response.writeHead(status, [...(status === 202 ? emptyHeadersCounted : emptyHeaders), ...extra])
  response.end()
}

/** Writes an error's answer. With `hold`, the last byte is out but the answer stays open until `hold` ends it. */
export function writeError (
  response: ServerResponse, error: unknown, extra: readonly string[], hold?: () => void
): void {
  const { status, json, retryAfterSeconds } = toErrorAnswer(error)
  const headers = retryAfterSeconds === 0 ? extra : ['retry-after', String(retryAfterSeconds), ...extra]
  if (hold === undefined) {
    writeJson(response, status, json, headers)
    return
  }
  response.writeHead(status, [...jsonHeaders, String(Buffer.byteLength(json)), ...headers])
  response.write(json)
  hold()
}
