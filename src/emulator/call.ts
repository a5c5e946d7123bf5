import type { Params } from './http/params.ts'
import type { Tree } from './http/tree.ts'
import type { Caller } from './signature/caller.ts'

/** One authenticated request, on its way to an operation. */
export interface Call {
  readonly action: string
  /** The request's path; REST services have parameters in it. */
  readonly path: string
  readonly params: Params
  readonly caller: Caller
  /** The region it was signed for. */
  readonly region: string
  readonly nowMs: number
  readonly requestId: string
  readonly sourceIp: string
  readonly userAgent: string
}

/** One unsigned request: STS takes web identities without a signature. */
export type UnsignedCall = Omit<Call, 'caller'>

/** What an operation adds to the trail beyond what every event has. */
export interface TrailNotes {
  readonly requestParameters?: Readonly<Record<string, unknown>>
  readonly responseElements?: Readonly<Record<string, unknown>>
  /** The other account that is told of this call; joined by sharedEventID. */
  readonly sharedWithAccountId?: string
}

/** What an operation gives back: the result without its envelope. */
export interface Answer {
  readonly result: Tree
  readonly notes?: TrailNotes
}

/**
 * Checks the parameters, then the caller's right, then acts.
 *
 * @throws AwsError for every refusal.
 */
export type Operation = (call: Call) => Answer

/** Operations of a service by name. */
export type Operations = Readonly<Record<string, Operation>>
