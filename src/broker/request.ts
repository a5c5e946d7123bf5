import type { EventsFor, Verb } from '../core/backend.ts'
import type { BrokerError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'

/** One request as the transport understood it, before anything was decided about it. */
export interface BrokerRequest {
  readonly id: string
  readonly receivedAtMs: number
  readonly verb: Verb | 'help'
  /** HEAD: authorised as a read, answered without a body. */
  readonly head: boolean
  /** Decoded segments joined by `/`, without slashes at its ends: `aws/creds/ec2-only`. */
  readonly path: string
  readonly clientToken: string | null
  readonly data: JsonObject
  readonly bodyText: string | null
  /** The header Accept; empty without one. */
  readonly accept: string
  /** The header If-None-Match; empty without one. */
  readonly ifNoneMatch: string
  /** Calls `act` when the client has gone, or has its answer; absent: nobody can tell. */
  readonly whenGone?: (act: () => void) => void
  readonly remoteAddress: string
  readonly remotePort: number
  /** The peer of the socket, where trusted proxies stand between. */
  readonly socketAddress: string
  readonly wrapTtlSeconds: number | null
  /** What the transport found wrong; audited, then answered, and nothing is done. */
  readonly refusal: BrokerError | null
}

/** What is answered; plugins/api.ts gives it a status. */
export type BrokerResponse =
  /** `json` is the whole body. `absent`: a 404 that carries an envelope (contract 7.3). */
  | { readonly kind: 'body', readonly json: string, readonly as?: 'accepted' | 'absent', readonly headers?: Readonly<Record<string, string>> }
  /** Text as it is; `invalid`: a 400. */
  | { readonly kind: 'text', readonly contentType: string, readonly text: string, readonly as?: 'invalid' }
  /** Goes on until the token, the client or the broker ends it. */
  | { readonly kind: 'stream', readonly stream: EventsFor }
  /** 204, an empty 202, or a 304. */
  | { readonly kind: 'empty', readonly as?: 'accepted' | 'unchanged', readonly headers?: Readonly<Record<string, string>> }
