//! The answers to requests that fail in the files below the endpoints.

use crate::domain::form::FormError;
use crate::response::ApiError;
use crate::state::store::StoreError;

impl From<FormError> for ApiError {
    fn from(error: FormError) -> Self {
        let text = error.to_string();
        match error {
            FormError::TooLarge(_) => Self::too_large(text),
            FormError::Invalid(_) | FormError::Read(_) => Self::bad_request(text),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NameTaken => Self::conflict("data with this name exists"),
            StoreError::UnknownId => Self::not_found("data not found"),
        }
    }
}
