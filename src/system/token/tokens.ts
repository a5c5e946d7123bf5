import { operation, type Backend, type Call, type Operation, type Outcome } from '../../core/backend.ts'
import { BrokerError, invalidRequest, permissionDenied } from '../../core/errors.ts'
import { duration, strictText } from '../../core/fields.ts'
import type { Token } from '../../core/model.ts'
import { authBlock } from '../../tokens/auth-block.ts'
import type { Revocation } from '../../tokens/revocation.ts'
import type { LiveToken, TokenStore } from '../../tokens/token-store.ts'
import { createTokenCreateOperations, type TokenCreateOptions } from './token-create.ts'
import { tokenInfo } from './token-info.ts'
import { createTokenRenewal, type TokenRenewalOptions } from './token-renewal.ts'
import { createTokenRoleOperations } from './token-roles.ts'

export interface TokenBackendOptions extends TokenCreateOptions, TokenRenewalOptions {
  readonly tokens: TokenStore
  readonly revocation: Pick<Revocation, 'revoke' | 'revokeOrphan'>
  /** Starts a sweep; what it finds is its own affair. */
  readonly nudge: () => void
}

const tokenField = { token: strictText('The token.') }
const accessorField = { accessor: strictText('The accessor of the token.') }
const incrementField = { increment: duration('How much longer, from now.') }

/** Root-protected paths of `auth/token/` (contract 5.0). */
export const tokenProtectedPaths = ['accessors*', 'revoke-orphan/*']

/** auth/token (contract 3.2): tokens about themselves and each other. */
export function createTokenBackend (options: TokenBackendOptions): Backend {
  return {
    type: 'token',
    description: 'Tokens: created, looked up, renewed and revoked.',
    protectedPaths: tokenProtectedPaths,
    operations: [
      ...createTokenCreateOperations(options),
      ...createTokenRoleOperations(),
      ...lookupOperations(options),
      ...renewOperations(options),
      ...revokeOperations(options),
      ...listOperations(options)
    ]
  }
}

const byToken = { bareFieldErrors: true, access: 'capability' } as const

function lookupOperations ({ tokens }: TokenBackendOptions): Operation[] {
  async function lookUpSelf (call: Call): Promise<Outcome> {
    const { token, clientToken } = callerOf(call)
    return { kind: 'data', data: tokenInfo({ token, usesLeft: call.usesLeft }, clientToken, call.nowMs) }
  }
  async function lookUp (call: Call, asked: string | undefined): Promise<Outcome> {
    if (asked === undefined || asked === '') return lookUpSelf(call)
    const live = await tokens.peek(asked, call.nowMs)
    if (live === null) throw new BrokerError('permission_denied', 'bad token')
    return { kind: 'data', data: tokenInfo(live, asked, call.nowMs) }
  }
  const self = { ...byToken, path: 'lookup-self', summary: 'Look up the caller\'s own token', fields: {}, run: lookUpSelf }
  const other = {
    ...byToken,
    path: 'lookup',
    summary: 'Look up a token',
    fields: tokenField,
    run: (call: Call, { token }: { token: string | undefined }) => lookUp(call, token)
  }
  return [
    operation({ ...self, verb: 'read' }),
    operation({ ...self, verb: 'write' }),
    operation({ ...other, verb: 'read' }),
    operation({ ...other, verb: 'write' }),
    operation({
      ...byToken,
      verb: 'write',
      path: 'lookup-accessor',
      summary: 'Look up a token by its accessor',
      fields: accessorField,
      async run ({ nowMs }, { accessor }) {
        const live = await tokens.findByAccessor(required(accessor, 'missing accessor'), nowMs)
        if (live === null) throw invalidRequest('invalid accessor')
        return { kind: 'data', data: tokenInfo(live, '', nowMs) }
      }
    })
  ]
}

function renewOperations (options: TokenBackendOptions): Operation[] {
  const { tokens } = options
  const renewal = createTokenRenewal(options)

  async function renew (live: LiveToken, shown: string, increment: number | undefined, call: Call): Promise<Outcome> {
    const { token, ttlSeconds, warnings } = await renewal.renew(live, increment ?? 0, call.nowMs)
    return { kind: 'token', auth: authBlock(token, shown, ttlSeconds), accessor: token.accessor, warnings }
  }
  async function renewText (call: Call, text: string, increment: number | undefined): Promise<Outcome> {
    const live = await tokens.peek(text, call.nowMs)
    if (live === null) throw invalidRequest('token not found')
    return renew(live, text, increment, call)
  }
  return [
    operation({
      ...byToken,
      verb: 'write',
      path: 'renew-self',
      summary: 'Renew the caller\'s own token',
      fields: incrementField,
      run: (call, { increment }) => renewText(call, callerOf(call).clientToken, increment)
    }),
    operation({
      ...byToken,
      verb: 'write',
      path: 'renew',
      summary: 'Renew a token',
      fields: { ...tokenField, ...incrementField },
      run: (call, { token, increment }) => renewText(call, token || callerOf(call).clientToken, increment)
    }),
    operation({
      ...byToken,
      verb: 'write',
      path: 'renew-accessor',
      summary: 'Renew a token by its accessor',
      fields: { ...accessorField, ...incrementField },
      async run (call, { accessor, increment }) {
        const live = await tokens.findByAccessor(required(accessor, 'missing accessor'), call.nowMs)
        if (live === null) throw invalidRequest('invalid accessor')
        return renew(live, '', increment, call)
      }
    })
  ]
}

function revokeOperations ({ tokens, revocation, hasSudo }: TokenBackendOptions): Operation[] {
  return [
    operation({
      ...byToken,
      verb: 'write',
      path: 'revoke-self',
      summary: 'Revoke the caller\'s own token and all below it',
      fields: {},
      async run (call) {
        await revocation.revoke(callerOf(call).token.accessor, call.nowMs)
        return { kind: 'none' }
      }
    }),
    operation({
      ...byToken,
      verb: 'write',
      path: 'revoke',
      summary: 'Revoke a token and all below it',
      fields: tokenField,
      async run ({ nowMs }, { token }) {
        const live = await tokens.peek(required(token, 'missing token ID'), nowMs)
        if (live !== null) await revocation.revoke(live.token.accessor, nowMs)
        return { kind: 'none' }
      }
    }),
    operation({
      ...byToken,
      verb: 'write',
      path: 'revoke-accessor',
      summary: 'Revoke a token and all below it by its accessor',
      fields: accessorField,
      async run ({ nowMs }, { accessor }) {
        const known = await revocation.revoke(required(accessor, 'missing accessor'), nowMs)
        return { kind: 'none', ...(!known && { warnings: ['No token found with this accessor'] }) }
      }
    }),
    operation({
      ...byToken,
      verb: 'write',
      path: 'revoke-orphan',
      summary: 'Revoke a token and keep its children',
      fields: tokenField,
      async run (call, { token }) {
        const text = required(token, 'missing token ID')
        if (!hasSudo(callerOf(call).token, call.request.path)) {
          throw invalidRequest('root or sudo privileges required to revoke and orphan')
        }
        const live = await tokens.peek(text, call.nowMs)
        if (live === null || !await revocation.revokeOrphan(live.token.accessor, call.nowMs)) {
          throw invalidRequest('token to revoke not found')
        }
        return { kind: 'none' }
      }
    })
  ]
}

/** The most accessors that one list answers; more are cut with a warning. */
const accessorsMax = 100_000

function listOperations ({ tokens, nudge }: TokenBackendOptions): Operation[] {
  return [
    operation({
      verb: 'list',
      path: 'accessors',
      access: 'sudo',
      summary: 'List the accessors of all tokens',
      fields: {},
      async run () {
        const keys: string[] = []
        let after: string | undefined
        do {
          const page = await tokens.accessors(after)
          keys.push(...page.accessors)
          after = page.after
        } while (after !== undefined && keys.length < accessorsMax)
        const warnings = after === undefined ? [] : [`only the first ${keys.length} accessors are listed`]
        return { kind: 'data', data: { keys: keys.sort() }, warnings }
      }
    }),
    operation({
      verb: 'write',
      path: 'tidy',
      access: 'capability',
      summary: 'Start removing what expired',
      fields: {},
      async run () {
        nudge()
        return {
          kind: 'data',
          as: 'accepted',
          data: null,
          warnings: ['Tidy operation successfully started. Any information from the operation will be printed to Latchkey\'s server logs.']
        }
      }
    })
  ]
}

function callerOf ({ token, request }: Call): { token: Token, clientToken: string } {
  if (token === null || request.clientToken === null) throw permissionDenied()
  return { token, clientToken: request.clientToken }
}

function required (value: string | undefined, message: string): string {
  if (value === undefined || value === '') throw invalidRequest(message)
  return value
}
