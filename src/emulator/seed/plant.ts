import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parsePolicyDocument, type PolicyDocument } from '../authorization/document.ts'
import { PolicyError } from '../authorization/policy-error.ts'
import { resolvePrincipals } from '../authorization/trust.ts'
import { createEc2State } from '../ec2/ec2-state.ts'
import { accessKeyId, uniqueId, type UniqueIdPrefix } from '../state/identifiers.ts'
import type { AccessKey, StoredPolicy } from '../state/records.ts'
import type { Vault } from '../state/vault.ts'
import type { Account, World } from '../state/world.ts'
import {
  SeedError, type Seed, type SeedAccessKey, type SeedAccount, type SeedDocument, type SeedHolder, type SeedRole
} from './seed-schema.ts'

export interface PlantParts {
  readonly world: World
  readonly vault: Vault
  readonly nowMs: number
  /** Where relative `jwksFile`s are looked for. */
  readonly folder: string
}

/**
 * Makes the accounts of a seed. Ids and keys that the seed does not choose depend on the vault's
 * secret and the names alone, so the same seed and secret give the same identities at every start.
 *
 * @throws SeedError naming the record that AWS would refuse.
 */
export function plantSeed ({ accounts }: Seed, parts: PlantParts): void {
  for (const account of accounts) plantAccount(account, parts)
  for (const account of accounts) {
    for (const role of account.roles) setTrust(account, role, parts)
  }
}

function plantAccount (seed: SeedAccount, { world, vault, nowMs, folder }: PlantParts): void {
  const key = (given: SeedAccessKey, words: string): AccessKey => {
    const id = given.id ?? accessKeyId('AKIA', seed.id, vault.derive(`key ${words}`, 8))
    return { id, secret: given.secret ?? vault.secretAccessKey(id), active: given.active, createdAtMs: nowMs }
  }
  const idOf = (prefix: UniqueIdPrefix, name: string) =>
    uniqueId(prefix, vault.derive(`id ${prefix} ${seed.id} ${name}`, 17))
  const arnOf = (kind: string, { path: at, name }: { path: string, name: string }) =>
    `arn:aws:iam::${seed.id}:${kind}${at}${name}`
  const holder = (kind: string, prefix: UniqueIdPrefix, one: SeedHolder) => ({
    name: one.name,
    path: one.path,
    id: idOf(prefix, one.name),
    arn: arnOf(kind, one),
    createdAtMs: nowMs,
    inline: new Map(Object.entries(one.policies).map(([name, document]) =>
      [name, stored(document, `${arnOf(kind, one)} policy ${name}`)])),
    attached: one.managedPolicies
  })

  const account = world.addAccount({
    id: seed.id,
    alias: seed.alias,
    organizationId: seed.organizationId,
    rootKeys: seed.rootAccessKeys.map((one, index) => key(one, `${seed.id} root ${index}`)),
    stsDisabledRegions: new Set(seed.stsDisabledRegions),
    optedInRegions: new Set(seed.optedInRegions),
    hostedZones: seed.hostedZones,
    buckets: seed.buckets,
    ec2: createEc2State(seed.id, vault)
  })
  for (const { id } of account.rootKeys) world.registerKey(id, { account, userName: null })

  for (const one of seed.policies) {
    const arn = arnOf('policy', one)
    account.policies.put(arn, {
      name: one.name,
      path: one.path,
      id: idOf('ANPA', one.name),
      arn,
      description: one.description,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      versions: [{ id: 'v1', createdAtMs: nowMs, ...stored(one.document, arn) }],
      defaultVersion: 'v1',
      versionsMade: 1,
      tags: new Map()
    })
  }
  for (const one of seed.groups) account.groups.put(one.name, { kind: 'group', ...holder('group', 'AGPA', one) })
  for (const one of seed.users) {
    const accessKeys = one.accessKeys.map((given, index) => key(given, `${seed.id} ${one.name} ${index}`))
    account.users.put(one.name, {
      kind: 'user',
      ...holder('user', 'AIDA', one),
      accessKeys,
      groups: one.groups,
      boundary: one.boundary,
      tags: new Map(Object.entries(one.tags)),
      mfaDevices: one.mfaDevices
    })
    for (const { id } of accessKeys) world.registerKey(id, { account, userName: one.name })
  }
  for (const one of seed.roles) {
    account.roles.put(one.name, {
      kind: 'role',
      ...holder('role', 'AROA', one),
      trust: parseTrust(one.trust, arnOf('role', one)),
      boundary: one.boundary,
      description: one.description,
      maxSessionSeconds: one.maxSessionSeconds,
      tags: new Map(Object.entries(one.tags))
    })
  }
  for (const one of seed.instanceProfiles) {
    account.instanceProfiles.put(one.name, {
      name: one.name,
      path: one.path,
      id: idOf('AIPA', one.name),
      arn: arnOf('instance-profile', one),
      createdAtMs: nowMs,
      role: one.role,
      tags: new Map()
    })
  }
  plantProviders(account, seed, nowMs, folder)
}

function plantProviders (account: Account, seed: SeedAccount, nowMs: number, folder: string): void {
  for (const { url, clientIds, jwks, jwksFile } of seed.oidcProviders) {
    const host = url.replace(/^https?:\/\//, '').replace(/\/$/, '')
    account.oidcProviders.put(host, {
      arn: `arn:aws:iam::${account.id}:oidc-provider/${host}`,
      url,
      clientIds,
      thumbprints: [],
      createdAtMs: nowMs,
      jwks: jwksFile === null ? jwks : JSON.parse(readFileSync(path.resolve(folder, jwksFile), 'utf8')),
      tags: new Map()
    })
  }
}

/** Once every account is there: a trust may name users and roles of each. */
function setTrust (account: SeedAccount, { name }: SeedRole, { world }: PlantParts): void {
  const roles = world.account(account.id)?.roles
  const role = roles?.find(name) ?? null
  if (roles === undefined || role === null) return
  try {
    roles.put(name, { ...role, trust: resolvePrincipals(role.trust, world.findUniqueId) })
  } catch (error) {
    throw refused(error, `${role.arn} trust`)
  }
}

function stored (document: SeedDocument, at: string): StoredPolicy {
  const text = typeof document === 'string' ? document : JSON.stringify(document)
  try {
    return { text, document: parsePolicyDocument(text, 'identity') }
  } catch (error) {
    throw refused(error, at)
  }
}

function parseTrust (document: SeedDocument, at: string): PolicyDocument {
  try {
    return parsePolicyDocument(typeof document === 'string' ? document : JSON.stringify(document), 'trust')
  } catch (error) {
    throw refused(error, `${at} trust`)
  }
}

function refused (error: unknown, at: string): unknown {
  return error instanceof PolicyError ? new SeedError(`${at}: ${error.message}`, { cause: error }) : error
}
