import { PolicyError } from './authorization/policy-error.ts'
import { AuthenticationError, AwsError, denied, invalidToken } from './aws-error.ts'
import type { Answer, UnsignedCall } from './call.ts'
import type { Fault, Faults } from './faults.ts'
import type { Incoming } from './http/incoming.ts'
import { readParams, type Params } from './http/params.ts'
import type { RateLimit } from './rate-limit.ts'
import type { Rendered, Service } from './service.ts'
import { regionOf, type Authenticator } from './signature/authenticate.ts'
import type { Caller } from './signature/caller.ts'
import { findClaim, type Claim } from './signature/credential.ts'
import type { EmulatorClock } from './state/clock.ts'
import { findAccountOf } from './state/identifiers.ts'
import type { RandomSource } from './state/random.ts'
import { homeRegion } from './state/regions.ts'
import type { Trail } from './trail.ts'

/** What is to be said, and what is to go wrong on the way. */
export interface Outcome {
  readonly requestId: string
  readonly rendered: Rendered
  readonly fault: Fault | null
  /** The emulator's time for the Date header. */
  readonly dateMs: number
}

/** Takes AWS requests. */
export interface Dispatcher {
  dispatch (request: Incoming): Promise<Outcome>
}

/** Operations without a signature, by name. */
export type UnsignedOperations = Readonly<Record<string, (call: UnsignedCall) => Promise<Answer>>>

export interface DispatchParts {
  readonly clock: EmulatorClock
  readonly random: RandomSource
  readonly authenticator: Authenticator
  readonly services: readonly Service[]
  readonly unsigned: UnsignedOperations
  readonly faults: Faults
  readonly trail: Trail
  readonly rateLimit: RateLimit
  /** Told of what should never happen: an error that is none of AWS's. */
  report (error: unknown): void
}

interface Work {
  readonly request: Incoming
  readonly claim: Claim | null
  readonly params: Params
  readonly service: Service
  readonly call: UnsignedCall
  readonly fault: Fault | null
}

/** Authenticates, finds the operation, runs it and records it; every failure becomes an AWS error. */
export function createDispatcher (parts: DispatchParts): Dispatcher {
  const { clock, random, services, faults } = parts
  const sts = services.find(({ name }) => name === 'sts')
  if (sts === undefined) throw new Error('STS is needed')

  const serviceFor = (request: Incoming, claim: Claim | null, params: Params): Service | null => {
    const named = claim === null ? undefined : services.find(({ name }) => name === claim.service)
    if (claim !== null) return named ?? null
    const version = params.get('Version')
    return services.find((service) => service.version !== null && service.version === version) ??
      services.find((service) => service.version === null && service.actionOf(request, params) !== '' && request.path !== '/') ?? sts
  }

  return {
    async dispatch (request) {
      const requestId = random.uuid()
      const asJson = request.headers.get('accept')?.startsWith('application/json') === true
      let service: Service = sts
      let fault: Fault | null = null
      try {
        const claim = findClaim(request)
        const params = readParams(request)
        const found = serviceFor(request, claim, params)
        if (found === null) throw unknownService(claim?.service ?? '')
        service = found
        const call = callOf(request, { claim, service, params, requestId, nowMs: clock.now() })
        fault = faults.take(subjectOf(call, service, claim))
        const early = fault?.effect === 'before' ? earlyAnswer(fault, service) : null
        if (early !== null) throw early
        if (fault !== null && fault.effect === 'before' && !passesThrough(fault)) {
          return { requestId, rendered: { status: 200, contentType: 'text/xml', text: '' }, fault, dateMs: call.nowMs }
        }
        const result = await run(parts, { request, claim, params, service, call, fault })
        const late = fault?.effect === 'after' ? earlyAnswer(fault, service) : null
        if (late !== null) throw late
        return {
          requestId,
          rendered: service.renderResult(call.action, result, requestId, asJson),
          fault,
          dateMs: call.nowMs + skewOf(fault)
        }
      } catch (error) {
        return {
          requestId,
          rendered: service.renderError(asAwsError(error, parts), requestId, asJson),
          fault,
          dateMs: clock.now() + skewOf(fault)
        }
      }
    }
  }
}

async function run (parts: DispatchParts, { request, claim, params, service, call, fault }: Work): Promise<Answer['result']> {
  const { authenticator, trail, unsigned, rateLimit } = parts
  let caller: Caller | null = null
  try {
    let answer: Answer
    const open = service.name === 'sts' && Object.hasOwn(unsigned, call.action) ? unsigned[call.action] : undefined
    if (open !== undefined) {
      requireVersion(service, call.action, params)
      answer = await open(call)
    } else {
      if (claim === null) throw new AuthenticationError('unsigned', 'Request is missing Authentication Token')
      checkService(parts.services, service, params)
      caller = authenticator.authenticate(request, claim, {
        nowMs: call.nowMs + skewOf(fault), wallMs: Date.now() + skewOf(fault)
      })
      checkReach(service, call.action, caller)
      if (service.name === 'sts' && !rateLimit.take(`${caller.account.id} ${call.region}`, call.nowMs)) {
        throw service.throttled
      }
      requireVersion(service, call.action, params)
      const operation = Object.hasOwn(service.operations, call.action) ? service.operations[call.action] : undefined
      if (operation === undefined) throw service.unknownAction(call.action, params.get('Version'))
      answer = operation({ ...call, caller })
    }
    trail.record({ call, caller, eventSource: service.eventSource, error: null, notes: answer.notes ?? {} })
    return answer.result
  } catch (error) {
    if (caller !== null) {
      trail.record({
        call, caller, eventSource: service.eventSource, error: asAwsError(error, parts), notes: {}
      })
    }
    throw error
  }
}

function callOf (
  request: Incoming,
  { claim, service, params, requestId, nowMs }: {
    claim: Claim | null, service: Service, params: Params, requestId: string, nowMs: number
  }
): UnsignedCall {
  return {
    action: service.actionOf(request, params),
    path: request.path,
    params,
    region: claim === null ? homeRegion : regionOf(claim),
    nowMs,
    requestId,
    sourceIp: request.sourceIp,
    userAgent: request.headers.get('user-agent') ?? ''
  }
}

function subjectOf ({ action, params, region }: UnsignedCall, service: Service, claim: Claim | null) {
  const accessKeyId = claim?.accessKeyId ?? ''
  return {
    service: service.name,
    action,
    region,
    accessKeyId,
    accountId: findAccountOf(accessKeyId) ?? '',
    roleArn: params.get('RoleArn'),
    sessionName: params.get('RoleSessionName')
  }
}

/** The refusal that a fault puts in place of the answer, if it is of that kind. */
function earlyAnswer ({ kind, status, code, message }: Fault, service: Service): AwsError | null {
  if (kind === 'throttle') {
    const { throttled } = service
    return new AwsError(status ?? throttled.status, code ?? throttled.code, message ?? throttled.message)
  }
  if (kind !== 'error') return null
  if (status === 503) {
    return new AwsError(503, code ?? 'ServiceUnavailable', message ?? 'The request has failed due to a temporary failure of the server.')
  }
  return new AwsError(status ?? 500, code ?? 'InternalFailure', message ?? 'The request processing has failed because of an unknown error, exception or failure.')
}

/** Kinds that change when or how the answer is checked, not the answer. */
function passesThrough ({ kind }: Fault): boolean {
  return kind === 'slow' || kind === 'clock-skew'
}

function skewOf (fault: Fault | null): number {
  return fault?.kind === 'clock-skew' ? fault.skewMs ?? 0 : 0
}

/** The version says which service a query is for; the scope must say the same. */
function checkService (services: readonly Service[], service: Service, params: Params): void {
  const version = params.get('Version')
  const meant = services.find((one) => one.version !== null && one.version === version)
  if (meant !== undefined && meant.name !== service.name && service.version !== null) {
    throw new AuthenticationError('scope', `Credential should be scoped to correct service: '${meant.name}'. `)
  }
}

/** What temporary credentials of users and federated users cannot call (AWS: comparison of STS operations). */
function checkReach (service: Service, action: string, { kind, session }: Caller): void {
  if (session === null || kind === 'role-session') return
  if (service.name === 'iam' && (kind === 'federated-user' || session.mfaAtMs === null)) throw invalidToken('token')
  if (service.name !== 'sts' || action === 'GetCallerIdentity') return
  if (kind === 'federated-user') throw denied(`Cannot call ${action} with federation credentials`)
  if (action !== 'AssumeRole') throw denied(`Cannot call ${action} with session credentials`)
}

function requireVersion (service: Service, action: string, params: Params): void {
  if (service.version === null) return
  if (action === '') throw new AwsError(400, 'MissingAction', 'The request is missing an action or a required parameter.')
  if (params.get('Version') !== service.version) throw service.unknownAction(action, params.get('Version'))
}

function unknownService (name: string): AwsError {
  return new AuthenticationError('scope', `Credential should be scoped to correct service: '${name.slice(0, 64)}' is not emulated. `)
}

function asAwsError (error: unknown, { report }: DispatchParts): AwsError {
  if (error instanceof AwsError) return error
  if (error instanceof PolicyError) return new AwsError(400, error.code, error.message)
  report(error)
  return new AwsError(500, 'InternalFailure', 'The request processing has failed because of an unknown error, exception or failure.')
}
