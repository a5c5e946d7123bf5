import { operation, type Call, type Operation, type Outcome } from '../../core/backend.ts'
import type { Clock } from '../../core/clock.ts'
import { invalidRequest } from '../../core/errors.ts'
import { duration, text, type Input } from '../../core/fields.ts'
import type { JsonObject } from '../../core/json.ts'
import { decodeRecord } from '../../core/records.ts'
import { checkAnswer, type StsSession } from './answer.ts'
import { emptyRoot, rootPath, type RootConfig } from './config-record.ts'
import type { Connection, Connections } from './connections.ts'
import { failureOf } from './refusals.ts'
import { rolePath, type Role } from './role-record.ts'
import { checkRoleName } from './roles.ts'
import type { StsAnswer, StsCall } from './sts.ts'
import { planVend, type VendPlan } from './vend-plan.ts'

const fields = {
  name: text('Name of the role'),
  role_arn: text('Which of the role\'s ARNs to assume; needed where it has several'),
  role_session_name: text('Name of the session'),
  ttl: duration('How long the credential shall live'),
  mfa_code: text('Code of the role\'s MFA device')
}

export interface VendOptions {
  readonly connections: Connections
  readonly clock: Clock
}

/** `creds/<name>` and `sts/<name>`, which do the same (contract 6.5). */
export function createVendOperations (options: VendOptions): Operation[] {
  const summary = 'Gives a credential of a role'
  const run = (call: Call, input: Input<typeof fields>) => vend(options, call, input)
  return ['creds/:name', 'sts/:name'].flatMap((path) => [
    operation({ verb: 'read', path, access: 'capability', summary, fields, run }),
    operation({ verb: 'write', path, access: 'capability', summary, fields, run })
  ])
}

/** Decides everything that can be decided before a lease is recorded; only `issue` talks to AWS. */
async function vend ({ connections, clock }: VendOptions, call: Call, input: Input<typeof fields>): Promise<Outcome> {
  const roleName = checkRoleName(input.name)
  const [roleEntry, rootEntry] = await call.store.get([rolePath(roleName), rootPath])
  if (!roleEntry) throw invalidRequest(`Role ${JSON.stringify(roleName)} not found`)
  const role = decodeRecord<Role>(roleEntry.value)
  const { caller, nowMs } = call
  const runId = caller?.metadata?.['run_id'] || null
  const plan = planVend(role, {
    roleName,
    roleArn: input.role_arn ?? '',
    sessionName: input.role_session_name ?? '',
    ttlSeconds: input.ttl,
    mfaCode: input.mfa_code ?? ''
  }, { runId, displayName: caller?.displayName ?? '', nowMs, ttlSecondsMax: call.ttlBounds.ttlSecondsMax })
  const connection = connections.connect(rootEntry ? decodeRecord<RootConfig>(rootEntry.value) : emptyRoot)
  await connection.ready()

  const parts = { role, roleName, runId, plan, connection }
  const intentOf = (leaseId: string) => intent({ ...parts, stsCall: plan.call(handleOf(leaseId)) })
  return {
    kind: 'credential',
    lease: { ttlSeconds: plan.durationSeconds, ttlSecondsMax: 0, renewable: false },
    revocation: intentOf,
    async issue (leaseId) {
      const stsCall = plan.call(handleOf(leaseId))
      try {
        const answer = await connection.call(stsCall, plan.roleArn?.account ?? '')
        const receivedAtMs = clock.now()
        const session = checkAnswer(stsCall, answer, receivedAtMs)
        const revocation = { ...intentOf(leaseId), ...identityOf(session, answer, receivedAtMs) }
        return { data: credentialData(session, plan, receivedAtMs), expiresAtMs: session.expiresAtMs, revocation }
      } catch (error) {
        throw failureOf(error, plan.during, call.request.id)
      }
    }
  }
}

/** A lease id without the path in front of it. */
function handleOf (leaseId: string): string {
  return leaseId.slice(leaseId.lastIndexOf('/') + 1)
}

interface IntentParts {
  readonly role: Role
  readonly roleName: string
  readonly runId: string | null
  readonly plan: VendPlan
  readonly connection: Connection
  readonly stsCall: StsCall
}

/** What is known before the call: enough to find the session in CloudTrail, should the answer be lost. */
function intent ({ role, roleName, runId, plan, connection, stsCall }: IntentParts): JsonObject {
  return {
    kind: 'sts',
    credentialType: role.credentialType,
    role: roleName,
    roleArn: plan.roleArn?.arn ?? null,
    account: plan.roleArn?.account ?? null,
    partition: plan.roleArn?.partition ?? null,
    region: connection.region,
    endpoint: connection.host,
    sessionName: sessionNameOf(stsCall),
    sourceIdentity: stsCall.action === 'AssumeRole' ? stsCall.sourceIdentity : null,
    durationSeconds: plan.durationSeconds,
    runId
  }
}

function sessionNameOf (call: StsCall): string | null {
  switch (call.action) {
    case 'AssumeRole': return call.sessionName
    case 'GetFederationToken': return call.name
    case 'GetSessionToken': return null
  }
}

/** What the answer adds: how any event of CloudTrail names the session, and what a revocation will need. */
function identityOf (session: StsSession, answer: StsAnswer, receivedAtMs: number): JsonObject {
  return {
    arn: session.arn,
    principalId: session.principalId,
    accessKeyId: session.accessKeyId,
    issuedAtMs: receivedAtMs,
    expiresAtMs: session.expiresAtMs,
    sessionTokenUtilization: answer.sessionTokenUtilization,
    packedPolicySize: answer.packedPolicySize
  }
}

/** The credential as clients know it (contract 6.5); the session token has two names there. */
function credentialData (session: StsSession, { roleArn }: VendPlan, receivedAtMs: number): JsonObject {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs, arn } = session
  return {
    access_key: accessKeyId,
    secret_key: secretAccessKey,
    security_token: sessionToken,
    session_token: sessionToken,
    ...(roleArn !== null && { arn }),
    ttl: Math.floor((expiresAtMs - receivedAtMs) / 1000)
  }
}
