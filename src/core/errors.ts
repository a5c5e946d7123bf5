/**
 * Every way the broker refuses or fails. The code is the contract: plugins, audit entries and
 * metrics switch on it, so a code is never renamed and never reused. Only plugins/errors.ts knows
 * which HTTP status each becomes (contract 1.8).
 */
export type ErrorCode =
  | 'invalid_request'
  | 'permission_denied'
  | 'not_found'
  | 'unsupported_operation'
  | 'too_large'
  | 'unsupported_media_type'
  | 'limit_exceeded'
  | 'upstream_throttled'
  | 'upstream_failed'
  | 'failed'
  | 'unavailable'

/**
 * The one error type that src/ throws on purpose.
 *
 * `message` is public: it reaches the client and the audit log, so it names no secret and nothing
 * the caller may not know to exist; an empty message becomes `{"errors":[]}`. `failed` is the
 * deterministic 500 that some client matches on. Private detail goes in `cause`, which is logged
 * by its code and never sent.
 */
export class BrokerError extends Error {
  override readonly name = 'BrokerError'
  readonly code: ErrorCode

  constructor (code: ErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** The one refusal for a missing, unknown, expired or powerless token: a probe learns nothing. */
export function permissionDenied (cause?: unknown): BrokerError {
  return new BrokerError('permission_denied', 'permission denied', { cause })
}

/** A caller's mistake, with the sentence that the contract gives for it. */
export function invalidRequest (message: string, cause?: unknown): BrokerError {
  return new BrokerError('invalid_request', message, { cause })
}

/** Nothing is there: the empty 404 of contract 1.8. */
export function notFound (): BrokerError {
  return new BrokerError('not_found', '')
}

/** The backend has no such path (contract 1.8); answered only to callers whose policies cover it. */
export function unsupportedPath (): BrokerError {
  return new BrokerError('not_found', 'unsupported path')
}
