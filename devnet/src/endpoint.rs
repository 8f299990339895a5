//! What a client can ask of the devnet: the names by which faults and records speak of requests.

/// One of the three servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The discovery service (protocol 1).
    Dds,
    /// The job server (protocol 3).
    Dms,
    /// The domain server (protocol 6).
    Domain,
}

/// A method and a path of one of the servers; in brackets the section of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET /health`
    Health,
    /// `POST /internal/v1/auth/siwe/request` (1.2)
    SiweRequest,
    /// `POST /internal/v1/nodes/register-wallet` (1.4)
    RegisterWallet,
    /// `POST /internal/v1/auth/siwe/verify` (1.7)
    SiweVerify,
    /// `POST /internal/v1/robots/register` (1.9)
    RobotRegister,
    /// `POST /internal/v1/auth/robot/verify` (1.9)
    RobotVerify,
    /// `POST /service/domains-access-token` (6.12)
    AppToken,
    /// `POST /api/v1/domains/{id}/auth` (1.11)
    DomainToken,
    /// `GET /tasks` (3.2)
    Lease,
    /// `POST /tasks/{id}/heartbeat` (3.4)
    Heartbeat,
    /// `POST /tasks/{id}/complete` (3.5)
    Complete,
    /// `POST /tasks/{id}/fail` (3.6)
    Fail,
    /// `POST /jobs` (3.7)
    SubmitJob,
    /// `GET /jobs` (3.7)
    ListJobs,
    /// `GET /jobs/{id}` (3.7)
    GetJob,
    /// `POST /jobs/{id}/cancel` (3.7)
    CancelJob,
    /// `DELETE /jobs/{id}` (3.7)
    DeleteJob,
    /// `GET /api/v1/info` (6.7)
    Info,
    /// `GET …/data` (6.1)
    ListData,
    /// `GET …/data` with Accept `multipart/form-data` (6.2)
    DownloadData,
    /// `POST …/data` (6.8)
    CreateData,
    /// `PUT …/data` (6.8)
    UpdateData,
    /// `GET …/data/{id}` (6.3)
    GetData,
    /// `GET …/data/{id}?raw=true` (6.3)
    GetRawData,
    /// `DELETE …/data/{id}` (6.3)
    DeleteData,
    /// `POST …/data/multipart?uploads` (6.9)
    MultipartInitiate,
    /// `PUT …/data/multipart?uploadId&partNumber` (6.9)
    MultipartPart,
    /// `POST …/data/multipart?uploadId` (6.9)
    MultipartComplete,
    /// `DELETE …/data/multipart?uploadId` (6.9)
    MultipartAbort,
}

impl Endpoint {
    /// The server that has this endpoint.
    pub fn role(self) -> Role {
        match self {
            Self::Health
            | Self::SiweRequest
            | Self::RegisterWallet
            | Self::SiweVerify
            | Self::RobotRegister
            | Self::RobotVerify
            | Self::AppToken
            | Self::DomainToken => Role::Dds,
            Self::Lease
            | Self::Heartbeat
            | Self::Complete
            | Self::Fail
            | Self::SubmitJob
            | Self::ListJobs
            | Self::GetJob
            | Self::CancelJob
            | Self::DeleteJob => Role::Dms,
            Self::Info
            | Self::ListData
            | Self::DownloadData
            | Self::CreateData
            | Self::UpdateData
            | Self::GetData
            | Self::GetRawData
            | Self::DeleteData
            | Self::MultipartInitiate
            | Self::MultipartPart
            | Self::MultipartComplete
            | Self::MultipartAbort => Role::Domain,
        }
    }
}
