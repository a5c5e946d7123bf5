/** How a command ends that did not do what it was asked, by what the caller can do about it. */
export type FailureKind = 'failed' | 'usage' | 'refused' | 'absent' | 'unavailable'

/** The exit codes; commands that run another one end with its. */
export const exitCodes: Readonly<Record<FailureKind, number>> = {
  /** Anything else, such as an answer that makes no sense, or a full disk. */
  failed: 1,
  /** A wrong option, setting or file: nothing was asked. */
  usage: 2,
  /** The broker refused. */
  refused: 3,
  /** There is no such thing. */
  absent: 4,
  /** The broker was not reached, or could not answer: trying later may help. */
  unavailable: 5
}

/** What stops a command. The message is one sentence for people and names no secret. */
export class Failure extends Error {
  override readonly name: string = 'Failure'
  readonly kind: FailureKind

  constructor (kind: FailureKind, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.kind = kind
  }
}

/** What is known of a call that came to nothing. */
export interface CallFacts {
  /** null: there was no whole answer. */
  readonly status: number | null
  /** Whether the request certainly never left: then nothing was done. */
  readonly isUnsent: boolean
  readonly retryAfterSeconds: number | null
}

/** A call to the broker that came to nothing. */
export class CallFailure extends Failure {
  override readonly name = 'CallFailure'
  readonly facts: CallFacts

  constructor (kind: FailureKind, message: string, facts: CallFacts, options?: { readonly cause: unknown }) {
    super(kind, message, options)
    this.facts = facts
  }
}

/** Whether a failure is a refusal by the broker with one of these statuses. */
export function hasStatus (error: unknown, ...statuses: readonly number[]): error is CallFailure {
  if (!(error instanceof CallFailure) || error.kind === 'unavailable') return false
  return error.facts.status !== null && statuses.includes(error.facts.status)
}

/** The code of an error of the system, such as `ENOENT`; empty where there is none. */
export function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
