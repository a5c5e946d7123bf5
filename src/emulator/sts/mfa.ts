import { createHmac, timingSafeEqual } from 'node:crypto'
import { denied } from '../aws-error.ts'
import type { Call } from '../call.ts'
import type { MfaDevice } from '../state/records.ts'
import type { Problems } from '../validation.ts'
import { rules } from './rules.ts'

/** A second factor as a request gives it. */
export interface MfaClaim {
  readonly serialNumber: string | null
  readonly tokenCode: string | null
}

export interface MfaChecker {
  /**
   * The instant at which the caller proved a second factor, or null when none was claimed.
   *
   * @throws AwsError AccessDenied for a wrong or used code and for a device that is not the caller's.
   */
  verify (call: Call, claim: MfaClaim): number | null
}

export function readMfaClaim ({ params }: Call, problems: Problems): MfaClaim {
  return {
    serialNumber: problems.text(params, 'SerialNumber', rules.serialNumber),
    tokenCode: problems.text(params, 'TokenCode', rules.tokenCode)
  }
}

const stepSeconds = 30
const usedCodesMax = 10_000

/** Virtual devices of RFC 6238; a code serves once. */
export function createMfaChecker (): MfaChecker {
  const used = new Set<string>()

  return {
    verify ({ caller, nowMs }, { serialNumber, tokenCode }) {
      if (serialNumber === null && tokenCode === null) return null
      const device = caller.user?.mfaDevices.find((one) => one.serialNumber === serialNumber)
      if (device === undefined || tokenCode === null) {
        throw denied('MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.')
      }
      const step = Math.floor(nowMs / 1000 / stepSeconds)
      const match = [step - 1, step, step + 1].find((counter) => isCode(device, counter, tokenCode))
      const use = `${device.serialNumber}\n${match}`
      if (match === undefined || used.has(use)) {
        throw denied('MultiFactorAuthentication failed with invalid MFA one time pass code. ')
      }
      if (used.size >= usedCodesMax) used.clear()
      used.add(use)
      return nowMs
    }
  }
}

function isCode ({ secret }: MfaDevice, counter: number, code: string): boolean {
  return timingSafeEqual(Buffer.from(oneTimeCode(secret, counter)), Buffer.from(code.padStart(6, ' ')))
}

/** The code of RFC 6238 for a 30-second step: six digits by HMAC-SHA-1. */
export function oneTimeCode (secret: string, counter: number): string {
  const message = Buffer.alloc(8)
  message.writeBigUInt64BE(BigInt(counter))
  const digest = createHmac('sha1', decodeBase32(secret)).update(message).digest()
  const offset = (digest.at(-1) ?? 0) & 15
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

function decodeBase32 (text: string): Buffer {
  let bits = ''
  for (const letter of text.toUpperCase().replaceAll(/[\s=]/g, '')) {
    bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')
  }
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}
