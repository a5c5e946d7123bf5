import { operation, type Call, type Operation, type Outcome } from '../../core/backend.ts'
import { DurationError, parseSeconds } from '../../core/duration.ts'
import { invalidRequest, permissionDenied } from '../../core/errors.ts'
import { any, bool, int, strictText, text, textList, textMap, type Input } from '../../core/fields.ts'
import type { Json } from '../../core/json.ts'
import type { Token } from '../../core/model.ts'
import { parsePolicyName } from '../../core/policy-name.ts'
import { StoreConflict } from '../../core/store.ts'
import { grantTtl } from '../../core/ttl.ts'
import { authBlock } from '../../tokens/auth-block.ts'
import type { TokenStore } from '../../tokens/token-store.ts'
import { findTokenRole, type TokenRole } from './token-roles.ts'

export interface TokenCreateOptions {
  readonly tokens: Pick<TokenStore, 'create'>
  readonly revokeToken: (accessor: string, nowMs: number) => Promise<boolean>
  readonly hasSudo: (token: Token, path: string) => boolean
  readonly policyExists: (name: string) => boolean
}

const fields = {
  id: strictText('A chosen token; needs sudo.'),
  role: text('Name of a token role.'),
  policies: textList('Policies of the token.'),
  meta: textMap('Texts that go with the token, into the audit log.'),
  no_parent: bool('Makes an orphan; needs sudo.'),
  no_default_policy: bool('Leaves the policy `default` out.'),
  renewable: bool('Whether the token can be renewed.'),
  ttl: any('How long the token lives at first.'),
  lease: any('Old name of ttl.'),
  explicit_max_ttl: any('Hard end, from the issue.'),
  period: any('Renewal reaches this far, again and again; needs sudo.'),
  display_name: text('Shown in the audit log.'),
  num_uses: int('Uses of the token; 0: unlimited.'),
  type: text('Only `service`.'),
  entity_alias: text('Accepted and ignored without a role.')
}

type CreateInput = Input<typeof fields>

/** Seconds a caller asked for; what is not asked for is 0. */
interface Times {
  readonly ttlSeconds: number
  readonly periodSeconds: number
  readonly explicitMaxTtlSeconds: number
}

/** auth/token/create, create-orphan, create/<role> (contract 3.3). */
export function createTokenCreateOperations (options: TokenCreateOptions): Operation[] {
  return [
    operation({
      verb: 'write',
      path: 'create',
      access: 'capability',
      summary: 'Create a token, child of the caller\'s',
      fields,
      bareFieldErrors: true,
      run: (call, input) => createToken(call, input, { orphan: false, role: null }, options)
    }),
    operation({
      verb: 'write',
      path: 'create-orphan',
      access: 'capability',
      summary: 'Create a token without a parent',
      fields,
      bareFieldErrors: true,
      run: (call, input) => createToken(call, input, { orphan: true, role: null }, options)
    }),
    operation({
      verb: 'write',
      path: 'create/:role',
      access: 'capability',
      summary: 'Create a token as a token role says',
      fields,
      bareFieldErrors: true,
      async run (call, input) {
        const name = input.role ?? ''
        const role = await findTokenRole(call.store, name)
        if (role === null) throw invalidRequest(`unknown role ${name}`)
        return createToken(call, input, { orphan: role.orphan, role }, options)
      }
    })
  ]
}

interface Making { readonly orphan: boolean, readonly role: TokenRole | null }

async function createToken (
  call: Call, input: CreateInput, { orphan: orphanAsked, role }: Making, options: TokenCreateOptions
): Promise<Outcome> {
  const { nowMs, request } = call
  const parent = call.token
  if (parent === null) throw permissionDenied()
  const sudo = options.hasSudo(parent, request.path)
  const warnings: string[] = []
  refuseParent(parent)
  refuseRights(input, sudo)
  const usesMax = usesOf(input, role)
  const times = timesOf(input, role, sudo, warnings)
  const policies = role !== null && isLimiting(role)
    ? policiesOfRole(input, role, parent)
    : policiesOf(input, parent, sudo, role?.noDefaultPolicy === true)
  refuseRoot(policies, parent, times)
  const orphan = orphanAsked || input.no_parent === true
  const life = isEndless(policies, parent, times) ? endless : boundedLife(times, call)
  warnings.push(...life.warnings)
  for (const name of policies) if (!options.policyExists(name)) warnings.push(`Policy "${name}" does not exist`)
  const path = pathOf(call, role)
  const { token, clientToken } = await make(options, {
    parent: orphan ? null : parent,
    kind: 'service',
    path,
    listedAs: path.slice('auth/token/'.length),
    mountAccessor: call.mount.accessor,
    displayName: displayNameOf(input.display_name),
    policies,
    metadata: metadataOf(input.meta),
    issuedAtMs: nowMs,
    expiresAtMs: life.expiresAtMs,
    endsAtMs: life.endsAtMs,
    creationTtlSeconds: life.ttlSeconds,
    explicitMaxTtlSeconds: times.explicitMaxTtlSeconds,
    periodSeconds: times.periodSeconds,
    renewable: life.expiresAtMs !== null && role?.renewable !== false && input.renewable !== false,
    usesMax,
    boundCidrs: role?.boundCidrs ?? (orphan ? [] : parent.boundCidrs),
    orphan,
    role: role?.name ?? null,
    renewal: null,
    ...(input.id && { chosenId: input.id })
  }, nowMs)
  return {
    kind: 'token',
    auth: authBlock(token, clientToken, life.ttlSeconds),
    accessor: token.accessor,
    warnings,
    withdraw: async () => { await options.revokeToken(token.accessor, nowMs) }
  }
}

/** The path that a token remembers, by which it is listed. */
function pathOf ({ request }: Call, role: TokenRole | null): string {
  return role?.pathSuffix ? `${request.path}/${role.pathSuffix}` : request.path
}

/** How long a token lives at first and at most; epoch ms, null: for ever. */
interface Life {
  readonly ttlSeconds: number
  readonly expiresAtMs: number | null
  readonly endsAtMs: number | null
  readonly warnings: readonly string[]
}

const endless: Life = { ttlSeconds: 0, expiresAtMs: null, endsAtMs: null, warnings: [] }

function boundedLife (times: Times, { nowMs, ttlBounds }: Call): Life {
  const { ttlSeconds, warnings } = grantTtl({
    ...times,
    mountTtlSecondsDefault: ttlBounds.ttlSecondsDefault,
    mountTtlSecondsMax: ttlBounds.ttlSecondsMax,
    issuedAtMs: nowMs,
    nowMs
  })
  const endsAtMs = times.periodSeconds > 0 ? null : nowMs + ttlBounds.ttlSecondsMax * 1000
  return { ttlSeconds, expiresAtMs: nowMs + ttlSeconds * 1000, endsAtMs, warnings }
}

async function make (options: TokenCreateOptions, request: Parameters<TokenStore['create']>[0], nowMs: number) {
  try {
    return await options.tokens.create(request, nowMs)
  } catch (error) {
    // The parent was revoked while this ran.
    if (error instanceof StoreConflict) throw permissionDenied(error)
    throw error
  }
}

function refuseParent (parent: Token): void {
  if (parent.usesMax > 0) throw invalidRequest('restricted use token cannot generate child tokens')
}

/** What only root or sudo may ask for, and what nobody may. */
function refuseRights (input: CreateInput, sudo: boolean): void {
  if (input.id !== undefined && input.id !== '') {
    if (!sudo) throw invalidRequest('root or sudo privileges required to specify token id')
    if (input.id.includes('.')) throw invalidRequest('custom token ID cannot have a \'.\' in the value')
    if (input.id.length > 1024 || /[^\x21-\x7e]/.test(input.id)) {
      throw invalidRequest('a chosen token ID is made of at most 1024 printable ASCII characters without spaces')
    }
  }
  if (input.no_parent === true && !sudo) throw invalidRequest('root or sudo privileges required to create orphan token')
  if (input.type !== undefined && !['', 'service', 'default', 'default-service'].includes(input.type)) {
    throw invalidRequest('invalid \'token_type\' value')
  }
}

function usesOf (input: CreateInput, role: TokenRole | null): number {
  const asked = input.num_uses ?? 0
  if (asked < 0) throw invalidRequest('number of uses cannot be negative')
  if (asked > 2_147_483_647) throw invalidRequest('number of uses is too large')
  const limits = [asked, role?.usesMax ?? 0].filter((uses) => uses > 0)
  return limits.length === 0 ? 0 : Math.min(...limits)
}

function timesOf (input: CreateInput, role: TokenRole | null, sudo: boolean, warnings: string[]): Times {
  const ttlSeconds = secondsOf('ttl', input.ttl) || secondsOf('lease', input.lease)
  const period = secondsOf('period', input.period)
  if (period > 0 && !sudo) throw invalidRequest('root or sudo privileges required to create periodic token')
  const explicit = secondsOf('explicit_max_ttl', input.explicit_max_ttl)
  return {
    ttlSeconds,
    periodSeconds: lesser('Period', period, role?.periodSeconds ?? 0, warnings),
    explicitMaxTtlSeconds: lesser('Explicit max TTL', explicit, role?.explicitMaxTtlSeconds ?? 0, warnings)
  }
}

function secondsOf (name: string, raw: Json | undefined): number {
  if (raw === undefined) return 0
  try {
    return parseSeconds(raw)
  } catch (error) {
    if (!(error instanceof DurationError)) throw error
    throw invalidRequest(error.message.includes('negative') ? `${name} must be positive` : error.message)
  }
}

/** Of a time given in the call and in the role the lesser holds (contract 3.6). */
function lesser (label: string, asked: number, ofRole: number, warnings: string[]): number {
  if (asked === 0 || ofRole === 0) return asked || ofRole
  const least = Math.min(asked, ofRole)
  warnings.push(`${label} specified both during creation call and in role; using the lesser value of ${least} seconds`)
  return least
}

/** Names as asked for: folded, each once, sorted, `root` alone. */
function askedPolicies (input: CreateInput): string[] {
  const names = (input.policies ?? []).flatMap((entry) => entry.split(',')).map((name) => name.trim()).filter((name) => name !== '')
  const folded = new Set(names.map(parsePolicyName))
  if (folded.has('response-wrapping')) throw invalidRequest('cannot assign policy "response-wrapping"')
  return folded.has('root') ? ['root'] : [...folded].sort()
}

function policiesOf (input: CreateInput, parent: Token, sudo: boolean, roleOmitsDefault: boolean): string[] {
  const asked = askedPolicies(input)
  const chosen = new Set(asked.length === 0 ? parent.policies : asked)
  if (asked.length > 0 && !sudo && !asked.every((name) => parent.policies.includes(name))) {
    throw invalidRequest('child policies must be subset of parent')
  }
  if (asked.length > 0 && (sudo || parent.policies.includes('default'))) chosen.add('default')
  return finished(chosen, input.no_default_policy === true || roleOmitsDefault)
}

function policiesOfRole (input: CreateInput, role: TokenRole, parent: Token): string[] {
  const asked = askedPolicies(input)
  const allowed = [...role.allowedPolicies, ...role.allowedPoliciesGlob]
  const fits = (name: string, names: readonly string[], globs: readonly string[]) =>
    names.includes(name) || globs.some((glob) => matchesGlob(glob, name))
  if (asked.length > 0 && allowed.length > 0 &&
    !asked.every((name) => fits(name, role.allowedPolicies, role.allowedPoliciesGlob))) {
    const shown = (names: readonly string[]) => `[${names.map((name) => JSON.stringify(name)).join(' ')}]`
    throw invalidRequest(`token policies (${shown(asked)}) must be subset of the role's allowed policies ` +
      `(${shown(role.allowedPolicies)}) or glob policies (${shown(role.allowedPoliciesGlob)})`)
  }
  const chosen = new Set(asked.length > 0 ? asked : allowed.length > 0 ? role.allowedPolicies : parent.policies)
  if (!fits('default', role.disallowedPolicies, role.disallowedPoliciesGlob)) chosen.add('default')
  for (const name of chosen) {
    if (fits(name, role.disallowedPolicies, role.disallowedPoliciesGlob)) {
      throw invalidRequest(`token policy "${name}" is disallowed by this role`)
    }
  }
  return finished(chosen, input.no_default_policy === true || role.noDefaultPolicy)
}

function finished (chosen: Set<string>, withoutDefault: boolean): string[] {
  if (chosen.has('root')) return ['root']
  if (withoutDefault) chosen.delete('default')
  return [...chosen].sort()
}

function isLimiting (role: TokenRole): boolean {
  return [role.allowedPolicies, role.disallowedPolicies, role.allowedPoliciesGlob, role.disallowedPoliciesGlob]
    .some((list) => list.length > 0)
}

/** A pattern with `*` at its ends or inside; linear, since each part is found from where the last one ended. */
function matchesGlob (glob: string, name: string): boolean {
  const parts = glob.split('*')
  const [first = ''] = parts
  if (parts.length === 1) return glob === name
  const last = parts.at(-1) ?? ''
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at)
    if (found < 0 || found + part.length > name.length - last.length) return false
    at = found + part.length
  }
  return true
}

const isTimeless = (times: Times) => times.ttlSeconds + times.periodSeconds + times.explicitMaxTtlSeconds === 0

/** Only a root token that never expires makes another one, and only without any time being asked for. */
function isEndless (policies: readonly string[], parent: Token, times: Times): boolean {
  return policies.includes('root') && parent.expiresAtMs === null && isTimeless(times)
}

function metadataOf (meta: Readonly<Record<string, string>> | undefined): Record<string, string> | null {
  return meta === undefined || Object.keys(meta).length === 0 ? null : { ...meta }
}

function refuseRoot (policies: readonly string[], parent: Token, times: Times): void {
  if (!policies.includes('root')) return
  if (!parent.policies.includes('root')) {
    throw invalidRequest('root tokens may not be created without parent token being root')
  }
  if (parent.expiresAtMs !== null && isTimeless(times)) {
    throw invalidRequest('expiring root tokens cannot create non-expiring root tokens')
  }
}

function displayNameOf (asked: string | undefined): string {
  if (asked === undefined || asked === '') return 'token'
  return `token-${asked.slice(0, 256).replace(/[^a-zA-Z0-9-]/g, '-')}`
}
