import { isListing, type Call, type Capability, type Operation, type Outcome, type Verb } from '../core/backend.ts'
import { mayComeFrom } from '../core/cidr.ts'
import { BrokerError, permissionDenied, unsupportedPath } from '../core/errors.ts'
import { readInput, type Fields, type Input } from '../core/fields.ts'
import { requestPrefix, type Mount } from '../core/model.ts'
import type { Revision } from '../core/revision.ts'
import type { MountTable } from '../mounts/mount-table.ts'
import type { Reached } from '../mounts/name-table.ts'
import { answersAt } from '../mounts/stable-path.ts'
import type { Acl, AclQuery } from '../policies/acl.ts'
import type { AclVerdict } from '../policies/rule.ts'
import type { LiveToken, TokenStore } from '../tokens/token-store.ts'
import { helpFor } from './help.ts'
import type { Backends, Registered } from './parts.ts'
import type { BrokerRequest } from './request.ts'

/** What a request turns out to do; the capability of the same name allows it. */
export type OperationWord = Exclude<Capability, 'sudo'>

/** What the gate found out about a request; `denial` says why it goes no further. */
export interface Verdict {
  readonly denial: Error | null
  readonly mount: Mount | null
  /** By which of its names the mount was reached; null where nothing is mounted. */
  readonly reached: Reached | null
  readonly live: LiveToken | null
  /** The word for the audit log. */
  readonly operation: OperationWord | 'help'
  /** The mount's stable path and what follows; as asked for where nothing is mounted. */
  readonly path: string
  readonly allowed: boolean
  readonly grantedBy: readonly string[]
  /** null with a denial. */
  readonly work: Work | null
}

/** An operation that may run. */
export interface Work {
  readonly call: Call
  readonly operation: Operation | null
  readonly warnings: readonly string[]
  run (): Promise<Outcome>
}

export interface GateOptions {
  readonly mounts: Pick<MountTable, 'resolve' | 'ttlBounds' | 'storeOf'>
  readonly backends: Backends
  readonly tokens: Pick<TokenStore, 'find'>
  readonly aclFor: (policies: readonly string[]) => Acl
  /** Keeps mounts and policies, by which is decided, no older than they may be. */
  readonly revision: Pick<Revision, 'freshen'>
}

/** What is known before anybody was authenticated. */
interface Target {
  readonly mount: Mount | null
  readonly reached: Reached | null
  readonly registered: Registered | null
  readonly rest: string
  readonly path: string
  /** null: the verb is not supported. Absent with `known` false: nor is the path. */
  readonly operation: Operation | null
  readonly known: boolean
  readonly input: Input<Fields>
  readonly inputError: Error | null
  readonly warnings: readonly string[]
}

/** A request with where it goes and who sends it. */
interface Asked {
  readonly request: BrokerRequest
  readonly target: Target
  /** null: not known yet, or nobody. */
  readonly live: LiveToken | null
  readonly nowMs: number
}

/** Who calls, what is mounted, may they (contract 1.9, 1.10). */
export function createGate ({ mounts, backends, tokens, aclFor, revision }: GateOptions) {
  function locate (request: BrokerRequest): Target {
    const resolved = mounts.resolve(request.path)
    const registered = resolved === null ? null : backends(resolved.mount)
    if (resolved === null || registered === null) {
      return { ...nowhere, path: request.path }
    }
    const { mount, rest, reached } = resolved
    const path = requestPrefix(mount) + rest
    const at = { mount, reached, registered, rest, path: rest === '' ? path.slice(0, -1) : path }
    if (request.verb === 'help') return { ...nowhere, ...at }
    const match = registered.table.match(rest, request.verb)
    if (match === null || match.operation === null) return { ...nowhere, ...at, known: match !== null }
    return { ...at, known: true, ...read(request, match.operation, match.captured) }
  }

  /** A target's call, before or after it is known who calls. */
  function callFor ({ request, target, live, nowMs }: Asked, mount: Mount, operation: OperationWord): Call {
    return {
      mount,
      store: mounts.storeOf(mount),
      nowMs,
      ttlBounds: mounts.ttlBounds(mount),
      request: {
        id: request.id,
        path: target.path,
        operation,
        remoteAddress: request.remoteAddress,
        wrapTtlSeconds: request.wrapTtlSeconds,
        clientToken: request.clientToken,
        data: request.data,
        bodyText: request.bodyText,
        accept: request.accept,
        ifNoneMatch: request.ifNoneMatch,
        ...(request.whenGone !== undefined && { whenGone: request.whenGone })
      },
      caller: live?.token ?? null,
      token: live?.token ?? null,
      usesLeft: live?.usesLeft ?? null
    }
  }

  /** A scan goes on into folders, each of which its caller has to have the right for. */
  function scanFor (asked: Asked, mount: Mount, acl: Acl): Call {
    const query = queryOf(asked, 'scan')
    const mayScan = (path: string) => acl.check({ ...query, path, operation: 'scan' }).allowed
    return { ...callFor(asked, mount, 'scan'), mayScan }
  }

  /** Whether a write creates: only where the backend can tell. */
  async function writeWord (asked: Asked, mount: Mount): Promise<'create' | 'update'> {
    const { operation, input, inputError } = asked.target
    if (operation?.exists === undefined || inputError !== null) return 'update'
    return await operation.exists(callFor(asked, mount, 'update'), input) ? 'update' : 'create'
  }

  /** What an operation itself has against a request, whoever asks. */
  async function objectionTo (asked: Asked): Promise<BrokerError | null> {
    const { mount, operation, input, inputError } = asked.target
    if (mount === null || operation?.precheck === undefined || inputError !== null) return null
    try {
      await operation.precheck(callFor(asked, mount, 'update'), input)
      return null
    } catch (error) {
      if (error instanceof BrokerError) return error
      throw error
    }
  }

  /** A mount's own path that answers only some tokens is an unknown path to the others, and to who shows none. */
  function opened (request: BrokerRequest, target: Target, acl: Acl | null): Target {
    const { mount, reached } = target
    if (mount === null || reached === null || answersAt({ mount, reached }, acl)) return target
    return { ...nowhere, path: request.path }
  }

  /** What needs no token to be decided; null: the rest does. */
  async function admitAnyone (asked: Asked): Promise<Verdict | null> {
    const { request, target } = asked
    const { mount, reached, path, operation } = target
    if (request.refusal !== null) return refused(asked, request.refusal)
    if (mount !== null && operation?.access === 'public' && request.verb !== 'help') {
      if (mount.state !== 'live') return refused(asked, tainted(request.path))
      const word = request.verb === 'write' ? await writeWord(asked, mount) : request.verb
      const admitted = { live: null, grantedBy: [], operation: word, denial: null, allowed: true }
      return { ...admitted, mount, reached, path, work: workOf(target, callFor(asked, mount, word)) }
    }
    if (operation?.precheck === undefined) return null
    const objection = await objectionTo(asked)
    return objection === null ? null : refused(asked, objection)
  }

  async function admitKnown (located: Asked, live: LiveToken | null): Promise<Verdict> {
    const { request, nowMs } = located
    const acl = live === null ? null : aclFor(live.token.policies)
    const asked = { request, target: opened(request, located.target, acl), live, nowMs }
    // A wrapping token may have been used since it was looked at: the answer is that of one used before.
    if (live === null || acl === null) return refused(asked, await objectionTo(asked) ?? permissionDenied())
    if (!mayComeFrom(live.token, request.remoteAddress)) return refused(asked, permissionDenied())
    if (request.verb === 'help') return adviseOn(asked, acl)
    const { mount } = asked.target
    const looks = mount !== null && request.verb === 'write' && mayWrite(acl, queryOf(asked, request.verb))
    const word = looks ? await writeWord(asked, mount) : plainWordOf(request.verb)
    return judge(asked, request.verb, word, acl)
  }

  /** Judges a request. What fails on the way is a refusal too, so that it is audited. */
  async function admit (request: BrokerRequest, nowMs: number): Promise<Verdict> {
    let live: LiveToken | null = null
    let located: Asked = { request, target: locate(request), live: null, nowMs }
    try {
      const freshening = request.refusal === null ? revision.freshen() : undefined
      if (freshening !== undefined) {
        await freshening
        located = { ...located, target: locate(request) }
      }
      const verdict = await admitAnyone({ ...located, target: opened(request, located.target, null) })
      if (verdict !== null) return verdict
      if (request.clientToken !== null) {
        live = await tokens.find(request.clientToken, nowMs, (token) => mayComeFrom(token, request.remoteAddress))
      }
      return await admitKnown(located, live)
    } catch (error) {
      const denial = error instanceof Error ? error : new Error('a request could not be judged', { cause: error })
      return refused({ ...located, live }, denial)
    }
  }

  function judge (asked: Asked, verb: Verb, word: OperationWord, acl: Acl): Verdict {
    const { request, target, live } = asked
    const { mount, reached, path, operation } = target
    const decision = decide(acl, queryOf(asked, verb), word, target)
    const allowed = decision.allowed && (decision.sudo || !needsSudo(target))
    const verdict = (denial: Error | null, work: Work | null): Verdict =>
      ({ mount, reached, path, live, operation: word, allowed, grantedBy: decision.grantedBy, denial, work })
    if (!allowed) return verdict(permissionDenied(), null)
    if (mount === null) return verdict(noHandler(request.path), null)
    if (mount.state !== 'live') return verdict(tainted(request.path), null)
    const call = verb === 'scan' ? scanFor(asked, mount, acl) : callFor(asked, mount, word)
    if (operation !== null) return verdict(null, workOf(target, call))
    const fallback = target.registered?.backend.fallback?.(call, verb) ?? null
    if (fallback !== null) return verdict(null, answered(call, fallback))
    return verdict(target.known ? new BrokerError('unsupported_operation', 'unsupported operation') : unsupportedPath(), null)
  }

  /** Help needs a token and no capability, and tells of no mount that the caller has nothing to do with. */
  function adviseOn (asked: Asked, acl: Acl): Verdict {
    const { request, target, live } = asked
    const { mount, registered } = target
    const found = { mount, reached: target.reached, path: target.path, live, operation: 'help' as const, grantedBy: [] }
    if (mount === null || registered === null || !acl.allowsAtOrBelow(requestPrefix(mount))) {
      return { ...found, denial: noHandler(request.path), allowed: true, work: null }
    }
    const help = helpFor(registered, target.rest)
    if (help === null) return { ...found, denial: unsupportedPath(), allowed: true, work: null }
    const call = callFor(asked, mount, 'read')
    return { ...found, denial: null, allowed: true, work: answered(call, { kind: 'bare', body: help }) }
  }

  return { admit }
}

export type Gate = ReturnType<typeof createGate>

/** Whoever may neither create nor update is refused without a look at what exists: it takes its time (SEC-031). */
function mayWrite (acl: Acl, query: Omit<AclQuery, 'operation'>): boolean {
  return acl.check({ ...query, operation: 'update' }).allowed || acl.check({ ...query, operation: 'create' }).allowed
}

const nowhere = {
  mount: null,
  reached: null,
  registered: null,
  rest: '',
  operation: null,
  known: false,
  input: {},
  inputError: null,
  warnings: []
} as const

/** Where nothing is mounted nobody can tell whether a write would create. */
function decide (acl: Acl, query: Omit<AclQuery, 'operation'>, word: OperationWord, { mount }: Target): AclVerdict {
  const decision = acl.check({ ...query, operation: word })
  return decision.allowed || mount !== null || word !== 'update' ? decision : acl.check({ ...query, operation: 'create' })
}

function refused ({ request: { verb }, target: { mount, reached, path }, live }: Asked, denial: Error): Verdict {
  const operation = verb === 'help' ? 'help' : plainWordOf(verb)
  return { mount, reached, path, live, allowed: false, grantedBy: [], work: null, operation, denial }
}

/** What a request asks of an ACL, but for the operation. */
function queryOf ({ request, target }: Asked, verb: Verb): Omit<AclQuery, 'operation'> {
  return {
    path: isListing(verb) ? `${target.path}/` : target.path,
    data: request.data,
    wrapTtlSeconds: request.wrapTtlSeconds
  }
}

function plainWordOf (verb: Verb): OperationWord {
  return verb === 'write' ? 'update' : verb
}

function read (request: BrokerRequest, operation: Operation, captured: ReadonlyMap<string, string>) {
  const prefix = operation.bareFieldErrors === true ? '' : 'Field validation failed: '
  try {
    const { input, unknown, replaced } = readInput(operation.fields, request.data, captured, prefix)
    const warnings: string[] = []
    if (unknown.length > 0 && operation.freeForm !== true) {
      warnings.push(`Endpoint ignored these unrecognized parameters: [${unknown.join(' ')}]`)
    }
    if (replaced.length > 0 && operation.freeForm !== true) {
      warnings.push(`Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [${replaced.join(' ')}]`)
    }
    return { operation, input, inputError: null, warnings }
  } catch (error) {
    if (error instanceof BrokerError) return { operation, input: {}, inputError: error, warnings: [] }
    throw error
  }
}

function workOf (target: Target, call: Call): Work {
  const { operation, input, inputError, warnings } = target
  return {
    call,
    operation,
    warnings,
    run () {
      if (inputError !== null) return Promise.reject(inputError)
      return operation === null ? Promise.reject(unsupportedPath()) : operation.run(call, input)
    }
  }
}

function answered (call: Call, outcome: Outcome): Work {
  return { call, operation: null, warnings: [], run: async () => outcome }
}

function noHandler (path: string): BrokerError {
  return new BrokerError('not_found', `no handler for route "${path}". route entry not found.`)
}

function tainted (path: string): BrokerError {
  return new BrokerError('not_found', `no handler for route "${path}" on namespace "". route entry or namespace is tainted.`)
}

/** Root-protected paths, built or not (contract 5.0). */
function needsSudo ({ operation, registered, rest }: Target): boolean {
  if (operation?.access === 'sudo') return true
  return registered?.backend.protectedPaths?.some((pattern) =>
    pattern.endsWith('*') ? rest.startsWith(pattern.slice(0, -1)) : rest === pattern) ?? false
}
