/** A policy document: an object, or its text. */
export type SeedDocument = object | string

/** A set of named inline policies, ARNs of managed ones, and what else users and roles share. */
export interface SeedHolder {
  readonly name: string
  readonly path: string
  readonly policies: Readonly<Record<string, SeedDocument>>
  readonly managedPolicies: readonly string[]
}

/** A key whose parts are generated where they are not given. */
export interface SeedAccessKey {
  readonly id: string | null
  readonly secret: string | null
  readonly active: boolean
}

export interface SeedUser extends SeedHolder {
  readonly accessKeys: readonly SeedAccessKey[]
  readonly groups: readonly string[]
  readonly boundary: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly mfaDevices: readonly { readonly serialNumber: string, readonly secret: string }[]
}

export interface SeedRole extends SeedHolder {
  readonly trust: SeedDocument
  readonly boundary: string | null
  readonly description: string | null
  readonly maxSessionSeconds: number
  readonly tags: Readonly<Record<string, string>>
}

export interface SeedManagedPolicy {
  readonly name: string
  readonly path: string
  readonly description: string | null
  readonly document: SeedDocument
}

export interface SeedOidcProvider {
  readonly url: string
  readonly clientIds: readonly string[]
  readonly jwks: unknown
  readonly jwksFile: string | null
}

export interface SeedAccount {
  readonly id: string
  readonly alias: string | null
  readonly organizationId: string | null
  readonly rootAccessKeys: readonly SeedAccessKey[]
  readonly users: readonly SeedUser[]
  readonly groups: readonly SeedHolder[]
  readonly roles: readonly SeedRole[]
  readonly policies: readonly SeedManagedPolicy[]
  readonly instanceProfiles: readonly { readonly name: string, readonly path: string, readonly role: string | null }[]
  readonly oidcProviders: readonly SeedOidcProvider[]
  readonly stsDisabledRegions: readonly string[]
  readonly optedInRegions: readonly string[]
  readonly hostedZones: readonly string[]
  readonly buckets: readonly string[]
}

/** The accounts with which an emulator starts. The README describes each member. */
export interface Seed {
  readonly accounts: readonly SeedAccount[]
}

/** A seed that cannot be used; the message names the place. */
export class SeedError extends Error {}

/**
 * Reads a seed. An unknown member is an error, because a misspelt boundary that is silently
 * left out is a limit that is not there.
 *
 * @throws SeedError naming the first place that is wrong.
 */
export function parseSeed (value: unknown): Seed {
  const root = members(value, 'seed', ['accounts', '$schema', 'description'])
  const accounts = list(root.accounts, 'accounts', account)
  if (accounts.length === 0) throw new SeedError('accounts: at least one is needed')
  const ids = accounts.map(({ id }) => id)
  if (new Set(ids).size !== ids.length) throw new SeedError('accounts: two have the same id')
  return { accounts }
}

type Members = Readonly<Record<string, unknown>>

const holderNames = ['name', 'path', 'policies', 'managedPolicies']

function account (value: unknown, at: string): SeedAccount {
  const it = members(value, at, [
    'id', 'alias', 'organizationId', 'rootAccessKeys', 'users', 'groups', 'roles', 'policies',
    'instanceProfiles', 'oidcProviders', 'stsDisabledRegions', 'optedInRegions', 'hostedZones', 'buckets'
  ])
  const id = text(it.id, `${at}.id`)
  if (!/^\d{12}$/.test(id)) throw new SeedError(`${at}.id: twelve digits are needed`)
  return {
    id,
    alias: optionalText(it.alias, `${at}.alias`),
    organizationId: optionalText(it.organizationId, `${at}.organizationId`),
    rootAccessKeys: list(it.rootAccessKeys, `${at}.rootAccessKeys`, accessKey),
    users: list(it.users, `${at}.users`, user),
    groups: list(it.groups, `${at}.groups`, (one, place) => holder(members(one, place, holderNames), place)),
    roles: list(it.roles, `${at}.roles`, role),
    policies: list(it.policies, `${at}.policies`, managedPolicy),
    instanceProfiles: list(it.instanceProfiles, `${at}.instanceProfiles`, (one, place) => {
      const profile = members(one, place, ['name', 'path', 'role'])
      return { ...named(profile, place), role: optionalText(profile.role, `${place}.role`) }
    }),
    oidcProviders: list(it.oidcProviders, `${at}.oidcProviders`, oidcProvider),
    stsDisabledRegions: list(it.stsDisabledRegions, `${at}.stsDisabledRegions`, text),
    optedInRegions: list(it.optedInRegions, `${at}.optedInRegions`, text),
    hostedZones: list(it.hostedZones, `${at}.hostedZones`, text),
    buckets: list(it.buckets, `${at}.buckets`, text)
  }
}

function user (value: unknown, at: string): SeedUser {
  const it = members(value, at, [...holderNames, 'accessKeys', 'groups', 'boundary', 'tags', 'mfaDevices'])
  return {
    ...holder(it, at),
    accessKeys: list(it.accessKeys, `${at}.accessKeys`, accessKey),
    groups: list(it.groups, `${at}.groups`, text),
    boundary: optionalText(it.boundary, `${at}.boundary`),
    tags: texts(it.tags, `${at}.tags`),
    mfaDevices: list(it.mfaDevices, `${at}.mfaDevices`, (one, place) => {
      const device = members(one, place, ['serialNumber', 'secret'])
      return {
        serialNumber: text(device.serialNumber, `${place}.serialNumber`),
        secret: text(device.secret, `${place}.secret`)
      }
    })
  }
}

function role (value: unknown, at: string): SeedRole {
  const it = members(value, at, [...holderNames, 'trust', 'boundary', 'description', 'maxSessionSeconds', 'tags'])
  const maxSessionSeconds = it.maxSessionSeconds ?? 3600
  if (typeof maxSessionSeconds !== 'number' || maxSessionSeconds < 3600 || maxSessionSeconds > 43_200) {
    throw new SeedError(`${at}.maxSessionSeconds: a number from 3600 to 43200 is needed`)
  }
  return {
    ...holder(it, at),
    trust: document(it.trust, `${at}.trust`),
    boundary: optionalText(it.boundary, `${at}.boundary`),
    description: optionalText(it.description, `${at}.description`),
    maxSessionSeconds,
    tags: texts(it.tags, `${at}.tags`)
  }
}

function managedPolicy (value: unknown, at: string): SeedManagedPolicy {
  const it = members(value, at, ['name', 'path', 'description', 'document'])
  return {
    ...named(it, at),
    description: optionalText(it.description, `${at}.description`),
    document: document(it.document, `${at}.document`)
  }
}

function oidcProvider (value: unknown, at: string): SeedOidcProvider {
  const it = members(value, at, ['url', 'clientIds', 'jwks', 'jwksFile'])
  return {
    url: text(it.url, `${at}.url`),
    clientIds: list(it.clientIds, `${at}.clientIds`, text),
    jwks: it.jwks ?? null,
    jwksFile: optionalText(it.jwksFile, `${at}.jwksFile`)
  }
}

function accessKey (value: unknown, at: string): SeedAccessKey {
  const it = members(value, at, ['id', 'secret', 'active'])
  const id = optionalText(it.id, `${at}.id`)
  if (id !== null && !/^\w{16,128}$/.test(id)) throw new SeedError(`${at}.id: 16 to 128 letters and digits are needed`)
  return { id, secret: optionalText(it.secret, `${at}.secret`), active: it.active !== false }
}

function holder (it: Members, at: string): SeedHolder {
  const policies = it.policies === undefined ? {} : members(it.policies, `${at}.policies`, null)
  return {
    ...named(it, at),
    policies: Object.fromEntries(Object.entries(policies).map(([name, one]) =>
      [name, document(one, `${at}.policies.${name}`)])),
    managedPolicies: list(it.managedPolicies, `${at}.managedPolicies`, text)
  }
}

function named (it: Members, at: string): { name: string, path: string } {
  return { name: text(it.name, `${at}.name`), path: optionalText(it.path, `${at}.path`) ?? '/' }
}

function members (value: unknown, at: string, known: readonly string[] | null): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SeedError(`${at}: an object is needed`)
  }
  const unknown = known === null ? undefined : Object.keys(value).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new SeedError(`${at}.${unknown}: no such member`)
  return value as Members
}

function list<T> (value: unknown, at: string, one: (value: unknown, at: string) => T): readonly T[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new SeedError(`${at}: a list is needed`)
  return value.map((element, index) => one(element, `${at}[${index}]`))
}

function text (value: unknown, at: string): string {
  if (typeof value !== 'string' || value === '') throw new SeedError(`${at}: a text is needed`)
  return value
}

function optionalText (value: unknown, at: string): string | null {
  return value === undefined || value === null ? null : text(value, at)
}

function texts (value: unknown, at: string): Readonly<Record<string, string>> {
  if (value === undefined) return {}
  return Object.fromEntries(Object.entries(members(value, at, null)).map(([name, one]) => {
    if (typeof one !== 'string') throw new SeedError(`${at}.${name}: a text is needed`)
    return [name, one]
  }))
}

function document (value: unknown, at: string): SeedDocument {
  if (typeof value === 'string') return value
  if (typeof value === 'object' && value !== null) return value
  throw new SeedError(`${at}: a policy document is needed`)
}
