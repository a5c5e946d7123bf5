import { blocksWithin, wholeBlock } from '../../core/cidr.ts'
import { invalidRequest } from '../../core/errors.ts'
import { any, commaList, duration, int, object, readInput, text, type Fields, type Input } from '../../core/fields.ts'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import type { Token } from '../../core/model.ts'
import { isPathSegment } from '../../core/path.ts'
import type { NewMount } from '../../mounts/mount-table.ts'
import { checkMountPath } from '../mount-path.ts'
import type { MountInput } from '../mounts.ts'
import { readSettings, settingFields } from '../rotation.ts'
import type { SecretIdTerms } from './ports.ts'
import { grantable, type Grant, type Grantable, type RoleTerms, type ScopeMount, type ScopePlan } from './scope.ts'

/** The auth method that scopes log in by unless another one is named. */
export const usualAuth = 'approle'
const mountsMax = 16
const grantsMax = 64
const grantLengthMax = 512
const blocksMax = 64
const metadataLengthMax = 16_384
/** Every broker holds all mounts in memory. */
const descriptionLengthMax = 1024

const nameField = { name: text('Name of the scope; its own mounts lie at or below it') }
/** The body that makes a scope. */
export const scopeFields = {
  ...nameField,
  mounts: object('KV mounts of its own, new ones, by their paths: `version`, `description`, `capabilities`, `rotation`'),
  grants: object('Rights on other things, by policy paths: lists of capabilities, of which the caller has to have all'),
  auth: text(`Path of the AppRole method that it logs in by; \`${usualAuth}\` unless given`),
  metadata: any('Metadata of the tokens that the first secret_id gives: an object of texts'),
  token_ttl: duration('First lifetime of the tokens'),
  token_max_ttl: duration('Longest lifetime of the tokens'),
  token_bound_cidrs: commaList('Blocks that the tokens may be used from'),
  secret_id_ttl: duration('How long a secret_id lives; 0 is for ever'),
  secret_id_num_uses: int('Logins that a secret_id is good for; 0 is unlimited'),
  secret_id_bound_cidrs: commaList('Blocks that logins must come from')
}
/** The body that makes another secret_id of a scope. */
export const secretIdFields = {
  ...nameField,
  metadata: any('Metadata of the tokens: an object of texts'),
  cidr_list: commaList('Blocks that logins with it must come from'),
  token_bound_cidrs: commaList('Blocks that its tokens may be used from'),
  num_uses: int('Logins it is good for; 0 is unlimited'),
  ttl: duration('How long it lives; 0 is for ever')
}

const mountFields = {
  type: text('`kv`'),
  version: text('`1` or `2`; `1` unless given'),
  description: text('For people'),
  capabilities: commaList('What the scope\'s tokens may do with its keys'),
  rotation: object('How its name rotates, as in `sys/latchkey/rotation`; it does not unless this is given')
}
const grantFields = { capabilities: commaList('What the scope\'s tokens may do there') }
const usualCapabilities: readonly Grantable[] = ['create', 'read', 'update', 'delete', 'list']

/** Judges a mount that is to be made as `sys/mounts` does. */
export type PlanMount = (input: MountInput) => NewMount

/** What bounds a caller, and so what it makes. */
export type Maker = Pick<Token, 'boundCidrs' | 'policies'>
type Bound = Pick<Maker, 'boundCidrs'>

/** A scope as it is asked for, with its mounts as they will be made. */
export interface AskedScope {
  readonly plan: ScopePlan
  readonly mounts: readonly NewMount[]
}

/**
 * What a body asks for. A parameter that is not known is refused, on every level: a bound that is
 * misspelt would be no bound.
 *
 * @throws BrokerError `invalid_request`
 */
export function readScope (
  input: Input<typeof scopeFields>, data: JsonObject, token: Maker, planMount: PlanMount
): AskedScope {
  refuseUnknown(data, scopeFields, 'a scope')
  const asked = Object.entries(input.mounts ?? {})
  if (asked.length > mountsMax) throw invalidRequest(`a scope has at most ${mountsMax} mounts`)
  const read = asked.map(([path, raw]) => readMount(path, raw, planMount)).sort((a, b) => byPath(a.own, b.own))
  refuseOverlap(read.map(({ own }) => own.path))
  const grants = readGrants(input.grants ?? {})
  if (read.length + grants.length === 0) throw invalidRequest('a scope has a mount or a grant')
  const plan: ScopePlan = {
    auth: readAuth(input.auth),
    mounts: read.map(({ own }) => own),
    grants,
    role: readRole(input, token),
    metadata: metadataText(input.metadata)
  }
  return { plan, mounts: read.map(({ mount }) => mount) }
}

/** What a body asks of a secret_id of a scope. @throws BrokerError `invalid_request` */
export function readSecretIdTerms (
  input: Input<typeof secretIdFields>, data: JsonObject, caller: Bound, { role }: Pick<ScopePlan, 'role'>
): SecretIdTerms {
  refuseUnknown(data, secretIdFields, 'a secret_id')
  const asked = blocks('token_bound_cidrs', input.token_bound_cidrs)
  return {
    metadata: metadataText(input.metadata),
    cidrList: blocks('cidr_list', input.cidr_list),
    tokenBoundCidrs: boundLike(caller, asked.length > 0 ? asked : narrower(role, caller)).map(wholeBlock),
    numUses: input.num_uses,
    ttlSeconds: input.ttl
  }
}

/** The first secret_id of a scope: as its role has it. */
export function firstSecretId ({ metadata }: ScopePlan): SecretIdTerms {
  return { metadata, cidrList: [], tokenBoundCidrs: [], numUses: undefined, ttlSeconds: undefined }
}

/** The path of an AppRole method, with or without `auth/`. */
function readAuth (raw = ''): string {
  const path = raw.replace(/^auth\//, '').replace(/\/$/, '') || usualAuth
  checkMountPath(path)
  return path
}

function readMount (path: string, raw: Json, planMount: PlanMount): { own: ScopeMount, mount: NewMount } {
  const where = `mount ${quoted(path)}`
  const { type = 'kv', version = '1', description = '', capabilities, rotation } = readClosed(mountFields, raw, where)
  const mount = planMount({ path, type, description, options: { version } })
  if (mount.type !== 'kv') throw invalidRequest(`${where}: the mounts of a scope are of the type kv`)
  if (description.length > descriptionLengthMax) throw invalidRequest(`${where}: a description has at most ${descriptionLengthMax} characters`)
  const own: ScopeMount = {
    path: mount.path,
    version: mount.options?.['version'] === '2' ? '2' : '1',
    description,
    capabilities: capabilities === undefined ? usualCapabilities : readCapabilities(capabilities, where),
    rotation: rotation === undefined
      ? null
      : readSettings({ ...mount, rotation: null }, readClosed(settingFields, rotation, `${where}: rotation`))
  }
  return { own, mount }
}

function readGrants (raw: JsonObject): Grant[] {
  const asked = Object.entries(raw)
  if (asked.length > grantsMax) throw invalidRequest(`a scope has at most ${grantsMax} grants`)
  return asked.map(([path, words]) => {
    checkGrantPath(path)
    const where = `grant ${quoted(path)}`
    const { capabilities = [] } = readClosed(grantFields, { capabilities: words }, where)
    return { path, capabilities: readCapabilities(capabilities, where) }
  }).sort(byPath)
}

const grantForm = /^[\w.,:;=@!&()' ~*+-]+$/

/**
 * Holds the path of a grant to what is one thing to whoever reads it: no character that ends a quoted
 * text or begins a template, wildcards only where they are wildcards.
 */
function checkGrantPath (path: string): void {
  const closed = path.replace(/\/?\*?$/, '')
  const segments = closed.split('/')
  const isPlain = (segment: string) => isPathSegment(segment) && grantForm.test(segment) &&
    !segment.includes('*') && (segment === '+' || !segment.startsWith('+'))
  if (path.length <= grantLengthMax && !path.endsWith('+*') && segments.every(isPlain)) return
  throw invalidRequest('the path of a grant is made of letters, digits and "_.,:;=@!&()\'~-", begins with a segment, and has "+" for a whole segment and "*" at its end alone')
}

function readCapabilities (words: readonly string[], where: string): Grantable[] {
  const wrong = words.find((word) => !grantable.some((known) => known === word))
  if (wrong !== undefined || words.length === 0) throw invalidRequest(`${where}: capabilities are of ${grantable.join(', ')}`)
  return grantable.filter((word) => words.includes(word))
}

function readRole (input: Input<typeof scopeFields>, caller: Maker): RoleTerms {
  const hasDefault = caller.policies.some((name) => name === 'default' || name === 'root')
  return {
    token_ttl: input.token_ttl ?? 0,
    token_max_ttl: input.token_max_ttl ?? 0,
    token_bound_cidrs: boundLike(caller, blocks('token_bound_cidrs', input.token_bound_cidrs)),
    ...!hasDefault && { token_no_default_policy: true },
    secret_id_ttl: input.secret_id_ttl ?? 0,
    secret_id_num_uses: input.secret_id_num_uses ?? 0,
    secret_id_bound_cidrs: blocks('secret_id_bound_cidrs', input.secret_id_bound_cidrs)
  }
}

/** Who is bound to addresses binds what he makes to them, or to fewer. */
function boundLike ({ boundCidrs }: Bound, asked: readonly string[]): string[] {
  if (asked.length === 0) return [...boundCidrs]
  if (boundCidrs.length > 0 && !blocksWithin(asked, boundCidrs)) {
    throw invalidRequest('token_bound_cidrs lie within the addresses that the caller\'s own token is bound to')
  }
  return [...asked]
}

/** The role's blocks where they lie within the caller's, else the caller's. */
function narrower ({ token_bound_cidrs: own }: RoleTerms, { boundCidrs }: Bound): readonly string[] {
  return own.length > 0 && blocksWithin(own, boundCidrs) ? own : boundCidrs
}

function blocks (name: string, list: string[] | undefined): string[] {
  if (list !== undefined && list.length > blocksMax) throw invalidRequest(`${name} has at most ${blocksMax} blocks`)
  return list ?? []
}

function metadataText (raw: Json | undefined): string {
  const made = raw === undefined ? '' : typeof raw === 'string' ? raw : JSON.stringify(raw)
  if (made.length > metadataLengthMax) throw invalidRequest(`metadata has at most ${metadataLengthMax} characters`)
  return made
}

function readClosed<F extends Fields> (fields: F, raw: Json, where: string): Input<F> {
  if (!isJsonObject(raw)) throw invalidRequest(`${where} is an object`)
  const { input, unknown } = readInput(fields, raw, new Map(), `${where}: `)
  if (unknown.length > 0) throw invalidRequest(`${where} has unknown parameters: [${unknown.join(' ')}]`)
  return input as Input<F>
}

function refuseUnknown (data: JsonObject, fields: Fields, what: string): void {
  const unknown = Object.keys(data).filter((name) => !Object.hasOwn(fields, name))
  if (unknown.length > 0) throw invalidRequest(`${what} has no such parameters: [${unknown.sort().join(' ')}]`)
}

/** No mount of the list is another one, or lies inside of it. */
function refuseOverlap (paths: readonly string[]): void {
  const other = paths.find((path, n) => paths.some((above, m) => n !== m && (path === above || path.startsWith(`${above}/`))))
  if (other !== undefined) throw invalidRequest(`mount ${quoted(other)} lies at or in another mount of the scope`)
}

function byPath (a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0
}

function quoted (path: string): string {
  return JSON.stringify(path.slice(0, grantLengthMax))
}
