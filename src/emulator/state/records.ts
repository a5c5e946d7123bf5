import type { PolicyDocument } from '../authorization/document.ts'

/** A policy as it was sent, and what it means. */
export interface StoredPolicy {
  readonly text: string
  readonly document: PolicyDocument
}

export type Tags = ReadonlyMap<string, string>

/** What users, groups and roles have in common. All records are immutable: a change is a new one. */
export interface PolicyHolder {
  readonly name: string
  readonly path: string
  readonly id: string
  readonly arn: string
  readonly createdAtMs: number
  /** Inline policies by name. */
  readonly inline: ReadonlyMap<string, StoredPolicy>
  /** ARNs of managed policies. */
  readonly attached: readonly string[]
}

export interface AccessKey {
  readonly id: string
  readonly secret: string
  readonly active: boolean
  readonly createdAtMs: number
}

export interface MfaDevice {
  readonly serialNumber: string
  /** The shared secret of RFC 6238, base32. */
  readonly secret: string
}

export interface User extends PolicyHolder {
  readonly kind: 'user'
  readonly accessKeys: readonly AccessKey[]
  readonly groups: readonly string[]
  readonly boundary: string | null
  readonly tags: Tags
  readonly mfaDevices: readonly MfaDevice[]
}

export interface Group extends PolicyHolder {
  readonly kind: 'group'
}

export interface Role extends PolicyHolder {
  readonly kind: 'role'
  /** Users and roles among its principals stand as unique ids. */
  readonly trust: PolicyDocument
  readonly boundary: string | null
  readonly description: string | null
  readonly maxSessionSeconds: number
  readonly tags: Tags
}

export interface PolicyVersion extends StoredPolicy {
  readonly id: string
  readonly createdAtMs: number
}

export interface ManagedPolicy {
  readonly name: string
  readonly path: string
  readonly id: string
  readonly arn: string
  readonly description: string | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** Oldest first, at most five. */
  readonly versions: readonly PolicyVersion[]
  readonly defaultVersion: string
  /** How many versions were ever made; their ids are not used twice. */
  readonly versionsMade: number
  readonly tags: Tags
}

export interface InstanceProfile {
  readonly name: string
  readonly path: string
  readonly id: string
  readonly arn: string
  readonly createdAtMs: number
  readonly role: string | null
  readonly tags: Tags
}

/** An OpenID Connect provider; its keys are given, or fetched from an issuer on loopback. */
export interface OidcProvider {
  readonly arn: string
  readonly url: string
  readonly clientIds: readonly string[]
  readonly thumbprints: readonly string[]
  readonly createdAtMs: number
  /** A JWK set, or null to fetch it. */
  readonly jwks: unknown
  readonly tags: Tags
}
