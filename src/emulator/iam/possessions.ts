import { noSuchEntity } from '../aws-error.ts'
import type { Call, Operation, Operations } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import type { User } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import { readPage } from './rules.ts'
import type { IamParts } from './parts.ts'
import { existing, readUserOrCaller, subjectKeys, users } from './subject.ts'

/** Lists of what a user can have besides access keys: MFA devices, and things that nobody has here. */
export function createPossessionOperations ({ judge }: IamParts): Operations {
  const authorizedUser = (call: Call): User => {
    const problems = createProblems()
    const subject = readUserOrCaller(call, problems)
    problems.throwIfAny()
    judge.authorize(call, `iam:${call.action}`, subject.arn, subjectKeys(subject.record))
    return existing(users, subject)
  }

  const list = (name: string, items: (user: User) => readonly Tree[]): Operation => (call) => {
    const problems = createProblems()
    const page = readPage(call.params, problems)
    problems.throwIfAny()
    const { items: shown, fields } = page(items(authorizedUser(call)))
    return { result: { [name]: shown, ...fields } }
  }

  const noLoginProfile: Operation = (call) => {
    throw noSuchEntity(`Login Profile for User ${authorizedUser(call).name} cannot be found.`)
  }

  return {
    ListMFADevices: list('MFADevices', ({ name, mfaDevices, createdAtMs }) => mfaDevices.map(({ serialNumber }) =>
      ({ UserName: name, SerialNumber: serialNumber, EnableDate: new Date(createdAtMs) }))),
    ListSSHPublicKeys: list('SSHPublicKeys', () => []),
    ListSigningCertificates: list('Certificates', () => []),
    ListServiceSpecificCredentials: list('ServiceSpecificCredentials', () => []),
    GetLoginProfile: noLoginProfile,
    DeleteLoginProfile: noLoginProfile
  }
}
