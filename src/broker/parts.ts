import type { Backend, Engine, AuthMethod, MountStore, Issued, LeaseRequest } from '../core/backend.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { Lease, Mount, Token } from '../core/model.ts'
import type { OperationTable } from './operation-table.ts'

/** What the gate asks of the policies; src/policies/acl.ts says how it is decided. */
export interface AccessRules {
  check (query: {
    readonly path: string
    readonly operation: 'create' | 'read' | 'update' | 'delete' | 'list' | 'patch'
    readonly data: JsonObject | null
    readonly wrapTtlSeconds: number | null
  }): { readonly allowed: boolean, readonly sudo: boolean, readonly grantedBy: readonly string[] }
  allowsAtOrBelow (prefix: string): boolean
}

/** A mounted backend and the part of a path below it. */
export interface Resolved {
  readonly mount: Mount
  readonly rest: string
}

/** What the door asks of the mount table. */
export interface MountResolver {
  /** The mount with the longest matching prefix, present name or stable path; null: nothing is there. */
  resolve (path: string): Resolved | null
  /** Effective TTLs, never 0. */
  ttlBounds (mount: Mount): { readonly ttlSecondsDefault: number, readonly ttlSecondsMax: number }
  byAccessor (accessor: string): Mount | null
  storeOf (mount: Mount): MountStore
}

/** A backend with its table. */
export interface Registered {
  readonly backend: Backend | Engine | AuthMethod
  readonly table: OperationTable
}

/** Finds the backend of a mount. */
export type Backends = (type: string) => Registered | null

/** What settlement asks of the leases. */
export interface LeaseKeeper {
  open (intent: {
    readonly token: Token
    readonly mount: Mount
    readonly path: string
    readonly request: LeaseRequest
    readonly revocation: (leaseId: string) => Json
    readonly nowMs: number
  }): Promise<OpenLease>
}

/** A lease whose credential is not handed out yet. */
export interface OpenLease {
  readonly lease: Lease
  /** The id that clients use: `<path>/<24 characters>`. */
  readonly wireId: string
  /** TTL granted, seconds, until `issued` says how long the credential lives. */
  readonly ttlSeconds: number
  /** Makes it active; fails, and keeps the record, when the token died meanwhile. */
  confirm (issued: Issued): Promise<void>
  /** The credential was certainly not made. */
  abandon (): Promise<void>
  /** Nobody knows, or nobody may have it: kept until the latest possible end. */
  orphan (reason: string, issued?: Issued): Promise<void>
}

/** What settlement asks of response wrapping. */
export interface Wrapper {
  wrap (answer: {
    readonly json: string
    readonly ttlSeconds: number
    readonly creationPath: string
    readonly mount: Mount
    readonly wrappedAccessor: string | null
    readonly nowMs: number
  }): Promise<{ readonly wrapInfo: JsonObject, readonly withdraw: () => Promise<void> }>
}
