import type { Fields, Input } from './fields.ts'
import type { Json, JsonObject } from './json.ts'
import type { Caller, Lease, Mount, Token } from './model.ts'
import type { Change, Entry, Key, Named, Page, Store } from './store.ts'

/** What a request does, as its method says (contract 1.2). A `write` is a create or an update; a `scan` lists folders with all below. */
export type Verb = 'read' | 'list' | 'scan' | 'write' | 'patch' | 'delete'

/** What a policy can grant on a path (contract 4.1). */
export type Capability = 'create' | 'read' | 'update' | 'delete' | 'list' | 'scan' | 'patch' | 'sudo'

/** Parts of a request that a backend may see. */
export interface RequestView {
  /** The `request_id` that the client sees and the audit log holds. */
  readonly id: string
  /** The mount's stable path and what follows: `aws/sts/deploy`. */
  readonly path: string
  readonly operation: Exclude<Capability, 'sudo'>
  /** The caller's address, after the trusted proxies (SEC-062). IPv4-mapped addresses are IPv4. */
  readonly remoteAddress: string
  /** Asked for by X-Vault-Wrap-TTL; null where the answer shall not be wrapped. */
  readonly wrapTtlSeconds: number | null
  /** The token as it was sent, for operations on "the caller's own token". */
  readonly clientToken: string | null
  /** All parameters as they were sent, before fields were read: a body's top level or the query. */
  readonly data: JsonObject
  /** The header Accept; empty without one. */
  readonly accept: string
  /** The header If-None-Match; empty without one. */
  readonly ifNoneMatch: string
  /** Calls `act` when the client has gone, or has its answer; absent: nobody can tell. */
  readonly whenGone?: (act: () => void) => void
  /** The body's own text, where numbers have all their digits; null without a JSON body. */
  readonly bodyText: string | null
}

/** Effective TTLs of a mount: its own, or the system's. Seconds, never 0; the default may exceed the maximum, which wins. */
export interface TtlBounds {
  readonly ttlSecondsDefault: number
  readonly ttlSecondsMax: number
}

/** What one call of an operation works with. */
export interface Call {
  readonly mount: Mount
  /** Confined to the mount's own shard: paths are relative to it. */
  readonly store: MountStore
  readonly nowMs: number
  /** The mount's effective TTLs, never 0. */
  readonly ttlBounds: TtlBounds
  readonly request: RequestView
  /** null on public operations. */
  readonly caller: Caller | null
  /** The caller's record, for the broker's own backends; null on public operations. */
  readonly token: Token | null
  /** Uses that the caller's token has left after this one; null: unlimited. */
  readonly usesLeft: number | null
  /** Of a scan: whether the caller may scan another folder, by its path with the last slash. */
  readonly mayScan?: (path: string) => boolean
}

/** A Store confined to one mount's shard, with paths in place of keys. */
export interface MountStore {
  get (paths: readonly string[]): Promise<(Entry | null)[]>
  /** The full key of a path, for changes that go through `commit`. */
  key (path: string): Key
  commit: Store['commit']
  /** Names below a prefix; see Store.list. */
  list (prefix: string, page: Omit<Page, 'shard'>): Promise<Named[]>
}

/** What a login came to: everything of the token that the auth method decides. Seconds; 0 means "not set". */
export interface Login {
  readonly policies: readonly string[]
  readonly noDefaultPolicy: boolean
  readonly displayName: string
  readonly metadata: Readonly<Record<string, string>>
  readonly ttlSeconds: number
  readonly ttlSecondsMax: number
  readonly explicitMaxTtlSeconds: number
  readonly periodSeconds: number
  readonly usesMax: number
  readonly boundCidrs: readonly string[]
  readonly tokenType: string
  /** What `AuthMethod.renew` will be given back. */
  readonly renewal: Json
  /** With which other tokens it can be ended at once; absent: with none. */
  readonly group?: string
  /**
   * Conditions and uses that must hold in the commit that makes the token, all in `shard`. The token is
   * made there too, and is looked for there when what came of a secret shall end.
   */
  readonly shard?: string
  readonly changes?: readonly Change[]
  /** What a conflict of `changes` means to the caller. */
  readonly refusal?: () => Error
  readonly warnings?: readonly string[]
}

/** What an engine wants leased. Seconds. */
export interface LeaseRequest {
  readonly ttlSeconds: number
  /** Hard end of the credential, from its issue. */
  readonly ttlSecondsMax: number
  readonly renewable: boolean
}

/** A credential as it was issued: its data, and how long it really lives. */
export interface Issued {
  readonly data: JsonObject
  /** When the credential dies, epoch ms, as the upstream says. */
  readonly expiresAtMs: number
  /** Replaces the lease's `revocation` once the session is known. Never a secret. */
  readonly revocation: Json
}

/**
 * What `issue` throws when nobody knows whether a credential was made: no answer, a cut or a
 * malformed one. The lease is kept until the latest possible end. `publicMessage` is sent.
 */
export class CredentialUncertain extends Error {
  override readonly name = 'CredentialUncertain'
  readonly publicMessage: string

  constructor (publicMessage: string, options?: { cause: unknown }) {
    super(publicMessage, options)
    this.publicMessage = publicMessage
  }
}

/** What an operation came to. The broker turns it into an answer, a lease or a token (contract 1.5). */
export type Outcome =
  | {
    readonly kind: 'data'
    readonly data: JsonObject | null
    readonly warnings?: readonly string[]
    readonly as?: 'accepted' | 'absent'
    /** Of the answer itself; not of one that it is wrapped in. */
    readonly headers?: Headers
    /** What `wrap_info.wrapped_accessor` shows when this is wrapped. */
    readonly wrappedAccessor?: string
    /** The lease that the answer is about, for the envelope's own keys: a renewal. */
    readonly lease?: { readonly leaseId: string, readonly renewable: boolean, readonly leaseDurationSeconds: number }
  }
  | { readonly kind: 'none', readonly warnings?: readonly string[], readonly headers?: Headers }
  | { readonly kind: 'accepted', readonly headers?: Headers }
  /** The client has what would be answered (RFC 9110 section 15.4.5). */
  | { readonly kind: 'unchanged', readonly headers: Headers }
  | { readonly kind: 'login', readonly login: Login }
  /** A token that the operation made or renewed itself; `withdraw` ends one whose answer is never given. */
  | {
    readonly kind: 'token'
    readonly auth: JsonObject
    readonly accessor: string
    readonly warnings?: readonly string[]
    readonly withdraw?: () => Promise<void>
  }
  | {
    readonly kind: 'credential'
    readonly lease: LeaseRequest
    /** What `revoke` will need, stored before `issue` runs. The lease's id is known before, so that the session can be named after it. */
    readonly revocation: (leaseId: string) => Json
    /** @throws CredentialUncertain, or BrokerError where certainly nothing was made */
    readonly issue: (leaseId: string) => Promise<Issued>
  }
  /** An envelope that was made before, verbatim: what `unwrap` answers. */
  | { readonly kind: 'envelope', readonly json: string }
  /** The answer was wrapped by the operation itself: what `rewrap` answers. */
  | { readonly kind: 'wrapped', readonly wrapInfo: JsonObject }
  /** An answer that is no JSON. */
  | { readonly kind: 'text', readonly contentType: string, readonly text: string, readonly as?: 'invalid' }
  /** An answer without envelope (contract 1.5, last line). */
  | { readonly kind: 'bare', readonly body: JsonObject }
  /** An answer that goes on: events as they happen. */
  | { readonly kind: 'stream', readonly stream: EventsFor }

/** Which events, and for whom: they end with the token. */
export interface EventsFor {
  readonly tokenAccessor: string
  /** null: of all types. */
  readonly types: readonly string[] | null
}

type Headers = Readonly<Record<string, string>>

/** Whether a verb is about a folder: its path ends in `/` for policies (contract 1.2). */
export function isListing (verb: string): boolean {
  return verb === 'list' || verb === 'scan'
}

/** One thing a backend can do. `path` is relative to the mount: `role/:name/secret-id`; `*rest` takes one or more segments. */
export interface Operation<F extends Fields = Fields> {
  readonly verb: Verb
  readonly path: string
  /** `public`: no token is looked at. `sudo`: the capability and sudo (contract 5.0). */
  readonly access: 'capability' | 'sudo' | 'public'
  readonly summary: string
  readonly fields: F
  /** Every key of `data` also stands at the top level (contract 1.5). */
  readonly mirrored?: true
  /** Any body field is data: no warning about unknown ones. */
  readonly freeForm?: true
  /** Field errors come without the words `Field validation failed: ` (contract kit, differences 1.6). */
  readonly bareFieldErrors?: true
  /** Whether the thing exists, so that `create` may suffice for a first write (contract 1.10). */
  exists? (call: Call, input: Input<F>): Promise<boolean>
  /** Runs before token and policies are judged; what it throws is the answer (contract 1.9, step 5). */
  precheck? (call: Call, input: Input<F>): Promise<void>
  run (call: Call, input: Input<F>): Promise<Outcome>
}

/** Checks an operation against its own fields, then forgets them so that it fits a table. */
export function operation<const F extends Fields> (definition: Operation<F>): Operation {
  return definition as unknown as Operation
}

/** Something with a type and a table of operations. */
export interface Backend {
  readonly type: string
  readonly description: string
  readonly operations: readonly Operation[]
  /** Answers a path that no operation matches; absent: `unsupported path`. */
  readonly fallback?: (call: Call, verb: Verb) => Outcome | null
  /** Paths that need sudo whether or not an operation has them; a last `*` takes any rest (contract 5.0). */
  readonly protectedPaths?: readonly string[]
  /**
   * Judges a mount's options before they are stored, `former` being the mount as it is, or null for a
   * new one; answers warnings. Absent: an option `version` is refused. @throws BrokerError
   */
  readonly checkOptions?: (options: Mount['options'], former: Pick<Mount, 'options'> | null) => readonly string[]
}

/** A secrets engine: mounted under `/v1/<path>/`, may lease credentials. */
export interface Engine extends Backend {
  /** Ends what `issue` began, or returns `expires` where nothing can. Must bear being repeated. */
  readonly revoke: (context: EngineContext, lease: Lease) => Promise<'revoked' | 'expires'>
  /** Extends a renewable credential; absent: leases of this engine are not renewable. */
  readonly renew?: (context: EngineContext, lease: Lease, ttlSeconds: number) => Promise<JsonObject | null>
}

/** What a background call on a mount works with. */
export interface EngineContext {
  readonly mount: Mount
  readonly store: MountStore
  readonly nowMs: number
}

/** Terms of a token as its auth method sees them now. Seconds; 0 means "not set". */
export interface RenewalTerms {
  readonly ttlSeconds: number
  readonly ttlSecondsMax: number
  readonly periodSeconds: number
}

/** An auth method: mounted under `/v1/auth/<path>/`, turns proof into a login. */
export interface AuthMethod extends Backend {
  /** Judges the renewal of a token that a login made. @throws BrokerError where the role is gone. */
  readonly renew: (context: EngineContext, renewal: Json) => Promise<RenewalTerms>
}
