import { parseRoleArn, sessionArn } from './role-arn.ts'
import { StsUncertain, type StsAnswer, type StsCall } from './sts.ts'

/** A session of AWS that was checked against what was asked. */
export interface StsSession {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiresAtMs: number
  /** Null for GetSessionToken, whose session is the caller itself. */
  readonly arn: string | null
  readonly principalId: string | null
}

const printable = /^[\x20-\x7e]+$/
/** How far AWS's clock may be from ours: what its signatures tolerate. */
const skewMs = 5 * 60_000

/**
 * Takes an answer only if it is complete and about the very session that was asked for: that
 * account, that role, that name, an end between now and the duration (SEC-160, SEC-165).
 *
 * @throws StsUncertain: whatever it is, something may have been minted.
 */
export function checkAnswer (call: StsCall, answer: StsAnswer, nowMs: number): StsSession {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs, arn, principalId } = answer
  if (accessKeyId === null || !/^\w{16,128}$/.test(accessKeyId) ||
    secretAccessKey === null || !printable.test(secretAccessKey) ||
    sessionToken === null || !printable.test(sessionToken) ||
    expiresAtMs === null || !Number.isSafeInteger(expiresAtMs)) {
    throw new StsUncertain('AWS STS answered without a complete credential')
  }
  if (expiresAtMs <= nowMs || expiresAtMs > nowMs + call.durationSeconds * 1000 + skewMs) {
    throw new StsUncertain('AWS STS answered with a credential whose end cannot be right')
  }
  if (!isAbout(call, arn, principalId)) throw new StsUncertain('AWS STS answered with a credential of somebody else')
  return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs, arn, principalId }
}

function isAbout (call: StsCall, arn: string | null, principalId: string | null): boolean {
  switch (call.action) {
    case 'AssumeRole': {
      const role = parseRoleArn(call.roleArn)
      const [roleId, name, ...more] = principalId?.split(':') ?? []
      return role !== null && arn === sessionArn(role, call.sessionName) &&
        /^\w{2,128}$/.test(roleId ?? '') && name === call.sessionName && more.length === 0
    }
    case 'GetFederationToken': {
      const [account, name, ...more] = principalId?.split(':') ?? []
      return /^\d{12}$/.test(account ?? '') && name === call.name && more.length === 0 &&
        new RegExp(`^arn:aws[a-z-]*:sts::${account}:federated-user/`).test(arn ?? '') && arn?.endsWith(`:federated-user/${call.name}`) === true
    }
    case 'GetSessionToken': return true
  }
}
