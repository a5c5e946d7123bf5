import {
  AssumeRoleCommand, GetFederationTokenCommand, GetSessionTokenCommand, STSClient, STSServiceException,
  type AssumeRoleCommandOutput, type GetFederationTokenCommandOutput, type GetSessionTokenCommandOutput,
  type STSClientConfig
} from '@aws-sdk/client-sts'
import type { Clock } from '../../core/clock.ts'
import type { Endpoint } from '../../core/egress.ts'
import { checkWireAnswer } from './answer-guard.ts'
import { createSigner } from './sigv4.ts'
import {
  StsNotSent, StsRefusal, StsUncertain,
  type AwsCredentials, type FederationCall, type Sts, type StsAnswer, type StsCall
} from './sts.ts'
import { createTransport, type Transport } from './transport.ts'

export interface SdkStsOptions {
  readonly endpoint: Endpoint
  readonly region: string
  /** Who signs; asked for each call. */
  readonly credentials: () => Promise<AwsCredentials>
  readonly clock: Clock
  readonly socketsMax: number
  /** Longest wait for an answer; 8 s unless given. */
  readonly deadlineMs?: number
}

type HttpHandler = Extract<NonNullable<STSClientConfig['requestHandler']>, { handle: unknown }>

const contentType = 'application/x-www-form-urlencoded'
const answerBytesMax = 1_048_576

/**
 * STS through the AWS SDK, which writes the calls and reads the answers. Between the two stand our
 * own signer and transport: one attempt, a deadline, no redirect, no setting from the environment or
 * from shared files (SEC-148, SEC-163, SEC-368).
 */
export function createSdkSts (options: SdkStsOptions): Sts {
  const { endpoint, socketsMax, deadlineMs = 8000 } = options
  const transport = createTransport({
    endpoint, deadlineMs, connectMs: 3000, socketsMax, answerBytesMax, idleMs: 5000
  })
  const client = createClient(options, transport)

  return {
    async call (call) {
      try {
        return answerOf(await send(client, call))
      } catch (error) {
        throw refusalOf(error)
      }
    },
    close () {
      client.destroy()
      transport.close()
    }
  }
}

function createClient ({ endpoint, region, credentials, clock }: SdkStsOptions, transport: Transport): STSClient {
  const url = new URL(`${endpoint.secure ? 'https' : 'http'}://${endpoint.host}/`)
  const client = new STSClient({
    endpoint: url.href,
    region,
    endpointProvider: () => ({ url }),
    requestHandler: handlerOf(transport),
    credentials: async () => { throw new Error('requests are signed elsewhere') },
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'legacy',
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    userAgentAppId: 'latchkey',
    authSchemePreference: [],
    sigv4aSigningRegionSet: [],
    cacheMiddleware: true
  })
  const { middlewareStack } = client
  for (const name of unneeded) middlewareStack.remove(name)
  const signer = createSigner({ region, service: 'sts' })
  middlewareStack.add((next) => async (args) => {
    const { request } = args
    if (!isHttpRequest(request)) throw new Error('the SDK made no HTTP request')
    const signature = signer.sign({
      host: endpoint.host,
      contentType,
      body: String(request.body),
      credentials: await credentialsOf(credentials),
      nowMs: clock.now()
    })
    request.headers = { ...signature, ...plainHeaders, host: endpoint.host }
    return next(args)
  }, { name: 'latchkeySigning', step: 'finalizeRequest' })
  return client
}

async function credentialsOf (source: () => Promise<AwsCredentials>): Promise<AwsCredentials> {
  try {
    return await source()
  } catch (error) {
    throw new StsNotSent('the broker has no AWS credentials to sign with', { cause: error })
  }
}

const plainHeaders = { 'content-type': contentType, 'accept-encoding': 'identity', 'user-agent': 'latchkey' }

/** Parts of the SDK's stack that retry, sign by another clock, or only cost time (half of a call). */
const unneeded = [
  'httpSigningMiddleware', 'retryMiddleware', 'httpAuthSchemeMiddleware', 'loggerMiddleware',
  'getUserAgentMiddleware', 'recursionDetectionMiddleware', 'contentLengthMiddleware', 'hostHeaderMiddleware'
]

interface SdkRequest {
  headers: Record<string, string>
  readonly body: unknown
}

function isHttpRequest (value: unknown): value is SdkRequest {
  return typeof value === 'object' && value !== null && 'headers' in value && 'body' in value
}

/** The SDK's way to the transport; what comes back was checked before the SDK reads it. */
function handlerOf (transport: Transport): HttpHandler {
  return {
    async handle (request: SdkRequest) {
      const body = String(request.body)
      const answer = await transport.post(request.headers, body)
      checkWireAnswer(/^Action=(\w+)/.exec(body)?.[1] ?? '', answer)
      const headers: Record<string, string> = {}
      for (const [name, value] of Object.entries(answer.headers)) {
        if (typeof value === 'string') headers[name] = value
      }
      return { response: { statusCode: answer.status, headers, body: answer.body } }
    },
    metadata: { handlerProtocol: 'http/1.1' },
    destroy () { transport.close() },
    updateHttpClientConfig () {},
    httpHandlerConfigs: () => ({})
  }
}

type Output = AssumeRoleCommandOutput | GetFederationTokenCommandOutput | GetSessionTokenCommandOutput

function send (client: STSClient, call: StsCall): Promise<Output> {
  switch (call.action) {
    case 'AssumeRole': return client.send(new AssumeRoleCommand({
      RoleArn: call.roleArn,
      RoleSessionName: call.sessionName,
      DurationSeconds: call.durationSeconds,
      ...policiesOf(call),
      ...(call.externalId !== null && { ExternalId: call.externalId }),
      ...(call.tags.length > 0 && { Tags: call.tags.map(([Key, Value]) => ({ Key, Value })) }),
      ...(call.sourceIdentity !== null && { SourceIdentity: call.sourceIdentity })
    }))
    case 'GetFederationToken': return client.send(new GetFederationTokenCommand({
      Name: call.name, DurationSeconds: call.durationSeconds, ...policiesOf(call)
    }))
    case 'GetSessionToken': return client.send(new GetSessionTokenCommand({
      DurationSeconds: call.durationSeconds,
      ...(call.mfa !== null && { SerialNumber: call.mfa.serialNumber, TokenCode: call.mfa.code })
    }))
  }
}

function policiesOf ({ policy, policyArns }: Pick<FederationCall, 'policy' | 'policyArns'>) {
  return {
    ...(policy !== null && { Policy: policy }),
    ...(policyArns.length > 0 && { PolicyArns: policyArns.map((arn) => ({ arn })) })
  }
}

function answerOf (output: Output): StsAnswer {
  const { Credentials: credentials } = output
  const user = 'AssumedRoleUser' in output ? output.AssumedRoleUser : undefined
  const federated = 'FederatedUser' in output ? output.FederatedUser : undefined
  return {
    accessKeyId: textOf(credentials?.AccessKeyId),
    secretAccessKey: textOf(credentials?.SecretAccessKey),
    sessionToken: textOf(credentials?.SessionToken),
    expiresAtMs: credentials?.Expiration instanceof Date ? credentials.Expiration.getTime() : null,
    arn: textOf(user?.Arn ?? federated?.Arn),
    principalId: textOf(user?.AssumedRoleId ?? federated?.FederatedUserId),
    sessionTokenUtilization: numberOf('SessionTokenUtilization' in output ? output.SessionTokenUtilization : null),
    packedPolicySize: numberOf('PackedPolicySize' in output ? output.PackedPolicySize : null)
  }
}

function textOf (value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function numberOf (value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/**
 * Sorts what the SDK threw: AWS's own refusal, one of the transport's errors, or an answer that it
 * could not read. The last holds the answer itself, and so is no cause of anything.
 */
function refusalOf (error: unknown): Error {
  if (error instanceof StsNotSent || error instanceof StsUncertain) return error
  const status = error instanceof STSServiceException ? error.$metadata.httpStatusCode : undefined
  if (!(error instanceof STSServiceException) || status === undefined || status < 400) {
    return new StsUncertain('AWS STS answered with malformed XML')
  }
  const code = wireCodeOf(error) ?? error.name
  const retryAfter = error.$response?.headers['retry-after'] ?? ''
  return new StsRefusal(code, error.message, status, /^\d{1,4}$/.test(retryAfter) ? Number(retryAfter) : null)
}

/** The code as AWS sent it; the SDK's classes have names of their own. */
function wireCodeOf (error: object): string | null {
  if (!('Error' in error) || typeof error.Error !== 'object' || error.Error === null) return null
  return 'Code' in error.Error ? textOf(error.Error.Code) : null
}
